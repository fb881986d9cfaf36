"""Jobs run by name on a partition, and refuse what they cannot run."""

from __future__ import annotations

import pytest

from serving_export.jobs import JOBS, promote_space, refresh_embeddings, run
from tests.serving_export.world import DAY1, World
from training.contracts.errors import UsageError


def test_every_job_runs_on_an_empty_home(world: World) -> None:
    results = {job: run(job, "2026-11-01", settings=world.settings) for job in JOBS}
    assert results["refresh_embeddings"]["refreshed"] == {}
    assert results["promote_space"]["promoted"] is False


def test_the_functions_take_settings_and_a_partition(world: World) -> None:
    assert refresh_embeddings(world.settings, DAY1)["reason"].startswith("no space is live")
    assert promote_space(world.settings, DAY1)["reason"].startswith("no candidate space")


@pytest.mark.parametrize(
    ("job", "partition", "options", "message"),
    [
        ("nothing", "2026-11-01", {}, "expected a job among refresh_embeddings, promote_space"),
        ("promote_space", "", {}, "partition key"),
        ("promote_space", "today", {}, "today"),
        ("promote_space", "2026-11-01", {"speed": 1}, "takes no option speed"),
    ],
)
def test_wrong_usage_is_told_apart(world: World, job: str, partition: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(job, partition, settings=world.settings, **options)
