"""The parts of a story that need no Airflow; the whole is a command of its own, which takes a quarter of an hour."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from local.instance import LocalAirflow
from local.logs import stage

from tests.dags.backfill.marks import Marks
from tests.dags.backfill.story import FIRST_DAYS, Operator, Plan, Told, known_users, tell
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.errors import AttuneError
from training.settings import Settings
from training.storage import write_parquet


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """One who works on a home with a space of the first of two days."""
    world = World(Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")}))
    world.promote(DAY1)
    airflow = LocalAirflow(world.settings)
    return Operator(world.settings, airflow, tmp_path / "marks.json", [DAY1, DAY2], Told(), [].append)


def test_a_day_more_than_is_backfilled_arrives_so_that_none_of_them_trains_by_itself(tmp_path: Path) -> None:
    days = stage(Settings.from_env({"ATTUNE_HOME": str(tmp_path)}), Plan(tmp_path, num_days=30).source)
    assert len(days) == FIRST_DAYS + 30 + 1


def test_too_short_a_backfill_ends_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(AttuneError, match="expected a backfill of 14 days at least, found 13"):
        tell(Plan(tmp_path, num_days=13), print)
    assert not any(tmp_path.iterdir())


def test_everyone_in_the_logs_is_asked_for_and_rows_without_a_user_are_nobody(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    for day, users in (("2025-11-01", ["b", None]), ("2025-11-02", ["a", "b"])):
        write_parquet(pa.table({"user_id": users}), settings.raw_dir("interactions") / f"dt={day}" / "part.parquet")
    assert known_users(settings) == ["a", "b"]


def test_a_command_that_fails_is_a_fault_with_its_line(operator: Operator) -> None:
    operator._command("pin", "matching", "20250101-00000000")
    assert operator.told.steps == [(str(DAY1), "attune pin matching 20250101-00000000")]
    assert operator.told.faults[0].startswith("attune pin ended with 1: ")


def test_what_never_comes_is_waited_for_until_the_backfill_is_over(operator: Operator) -> None:
    operator._until_served(DAY1)
    operator.over.set()
    with pytest.raises(AttuneError, match=f"expected {DAY2} served"):
        operator._until_served(DAY2)


def test_marks_are_added_to_those_before(operator: Operator) -> None:
    assert Marks.read(operator.marks) == Marks()
    operator._mark(pinned="s1")
    operator._mark(erasing="u1")
    assert Marks.read(operator.marks) == Marks(pinned="s1", erasing="u1")
