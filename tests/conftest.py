"""Share what is dear between tests and workers: one fresh MLflow schema, and each fixture of a file on one worker.

Tests of one file run on one worker, so that what the file shares is made once; tests of several files that read the
same session-wide fixture go together likewise. Long work is handed out first, so that no worker ends up waiting for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from training.settings import Settings

SHARED_FIXTURES = ("trained", "built")
"""Session-wide fixtures that take many seconds; the tests that read one of them form a group."""
LONG_FIRST = ("slow", "airflow", "walk", "integration")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own hook of this name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test a group for `--dist loadgroup`, and put the groups with the longest work first."""
    ranks: dict[str, int] = {}
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(group_of(item)))
        name = item.get_closest_marker("xdist_group").args[0]
        ranks[name] = min(ranks.get(name, len(LONG_FIRST)), rank_of(item))
    order = {name: place for place, name in enumerate(sorted(ranks, key=ranks.__getitem__))}
    items.sort(key=lambda item: order[item.get_closest_marker("xdist_group").args[0]])


def group_of(item: pytest.Item) -> str:
    """Return the shared fixture of a test, "airflow" for those that import Airflow, which is slow, else its file."""
    shared = [name for name in SHARED_FIXTURES if name in getattr(item, "fixturenames", ())]
    if item.get_closest_marker("airflow") or "airflow_home" in getattr(item, "fixturenames", ()):
        return "airflow"
    return shared[0] if shared else item.nodeid.partition("::")[0]


def rank_of(item: pytest.Item) -> int:
    return min(
        (place for place, mark in enumerate(LONG_FIRST) if item.get_closest_marker(mark)), default=len(LONG_FIRST)
    )


@pytest.fixture(scope="session")
def fresh_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Settings], Settings]:
    """Return a function that gives a home an empty MLflow whose schema is there, and returns its settings.

    MLflow makes its schema by some sixty migrations, which takes seconds. The product's own code does it once for all
    workers of a run; every home gets a copy of the result.
    """
    from training.tracking.mlflow import tracking_client

    own = tmp_path_factory.getbasetemp()
    run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    template = Settings.from_env({"ATTUNE_HOME": str(run / "fresh_mlflow")})
    with tracking_client(template):
        folder = template.home / "mlflow"

    def give(settings: Settings) -> Settings:
        if not (settings.home / "mlflow").exists():
            shutil.copytree(folder, settings.home / "mlflow")
        return settings

    return give
