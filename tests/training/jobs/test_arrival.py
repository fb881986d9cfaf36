"""A day has arrived when its logs, or those of a later day, are there."""

import pytest

from training.contracts.partitions import Partition
from training.jobs.arrival import partition_arrived
from training.settings import Settings

DAY = Partition.parse("2026-11-05")


def arrive(settings: Settings, day: str) -> None:
    folder = settings.raw_dir("interactions") / f"dt={day}"
    folder.mkdir(parents=True)
    (folder / "part-0.parquet").write_bytes(b"x")


@pytest.fixture
def settings(tmp_path):
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


def test_nothing_has_arrived_in_an_empty_home(settings):
    assert partition_arrived(settings, DAY) == {"arrived": False, "newest": None}


@pytest.mark.parametrize(
    ("arrived_day", "arrived"), [("2026-11-04", False), ("2026-11-05", True), ("2026-11-06", True)]
)
def test_a_day_has_arrived_with_its_own_logs_or_later_ones(settings, arrived_day, arrived):
    arrive(settings, arrived_day)
    assert partition_arrived(settings, DAY) == {"arrived": arrived, "newest": arrived_day}


def test_a_folder_without_a_file_has_not_arrived(settings):
    (settings.raw_dir("interactions") / f"dt={DAY}").mkdir(parents=True)
    assert partition_arrived(settings, DAY)["arrived"] is False
