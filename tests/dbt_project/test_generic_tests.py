"""The project's own generic tests pass on good tables and name what breaks them."""

import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tests.training.data.conftest import (
    Built,
    built,  # noqa: F401
)
from training.contracts.errors import AttuneError
from training.data.dbt import run_dbt
from training.data.warehouse import source_locations
from training.settings import Settings


def run_test(settings: Settings, name: str) -> dict[str, int]:
    variables = {"partition": "2026-01-03"}
    return run_dbt(settings, "test", source_locations(settings), variables, "--select", f"test_name:{name}")


@pytest.mark.integration
@pytest.mark.parametrize("dimension", ["dim_users", "dim_items"])
def test_an_interaction_of_what_no_dimension_knows_is_named(built: Built, tmp_path: Path, dimension: str) -> None:  # noqa: F811
    settings = replace(built.settings, home=tmp_path / "home")
    shutil.copytree(built.settings.home, settings.home)
    assert run_test(settings, "known_to_the_snapshot") == {"pass": 2}
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        (table,) = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_name = ?", [dimension]
        ).fetchone() or ("",)
        connection.execute(f"delete from {table}")
    with pytest.raises(AttuneError, match=f"known_to_the_snapshot.*{dimension}"):
        run_test(settings, "known_to_the_snapshot")
