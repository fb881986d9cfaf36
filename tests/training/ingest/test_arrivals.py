from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.ingest.raw_logs import DAYS, home
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.ingest.arrivals import (
    arrived_partitions,
    deliveries,
    incomplete,
    mark_delivered,
    newest_arrived,
    require_arrived,
)
from training.settings import Settings


def test_only_days_with_interactions_count_as_arrived(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    assert newest_arrived(settings) is None
    for day, name in (("2026-11-05", "a.parquet"), ("2026-11-03", "a.parquet"), ("2026-11-07", ".a.parquet.tmp")):
        path = settings.raw_dir("interactions") / f"dt={day}" / name
        path.parent.mkdir(parents=True)
        path.touch()
    (settings.raw_dir("users") / "dt=2026-11-09").mkdir(parents=True)
    (settings.raw_dir("users") / "dt=2026-11-09" / "a.parquet").touch()
    assert [str(day) for day in arrived_partitions(settings)] == ["2026-11-03", "2026-11-05"]
    assert newest_arrived(settings) == Partition.parse("2026-11-05")


IN_PROGRESS = [
    "_temporary",
    ".inprogress",
    "_inprogress",
    "part.tmp",
    ".part-0.parquet.tmp",
    "part-0.parquet.crdownload",
    "part-0.parquet._COPYING_",
    ".spark-staging-1f2e",
    ".hive-staging_hive_2025",
    "_started_42",
    "tmp",
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home(tmp_path)


def put(settings: Settings, day: Partition, *names: str, table: str = "interactions") -> Path:
    folder = settings.raw_dir(table) / f"dt={day}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("name", IN_PROGRESS)
def test_a_folder_with_something_unfinished_has_not_arrived(settings: Settings, name: str) -> None:
    put(settings, DAYS[0], "a.parquet")
    put(settings, DAYS[1], name)
    put(settings, DAYS[2], "a.parquet", name)
    assert arrived_partitions(settings) == [DAYS[0]]
    assert name in incomplete(settings, DAYS[2])


@pytest.mark.parametrize("names", [["_metadata"], [".a.parquet.crc"], ["_committed_7"], ["_started_7", "_committed_7"]])
def test_a_folder_without_a_file_of_rows_has_not_arrived_and_nothing_of_it_is_awaited(
    settings: Settings, names: list[str]
) -> None:
    put(settings, DAYS[0], *names)
    assert arrived_partitions(settings) == []
    assert incomplete(settings, DAYS[0]) == ""


def test_files_beside_checksums_and_ended_transactions_are_whole(settings: Settings) -> None:
    put(settings, DAYS[0], "a.parquet", ".a.parquet.crc", "_started_7", "_committed_7", "_metadata")
    assert arrived_partitions(settings) == [DAYS[0]]


def test_a_table_of_which_one_day_is_marked_takes_marked_days_alone(settings: Settings) -> None:
    mark_delivered(put(settings, DAYS[0], "a.parquet", "_temporary"))
    put(settings, DAYS[1], "a.parquet")
    put(settings, DAYS[1], "a.parquet", table="users")
    mark_delivered(put(settings, DAYS[2]))
    assert arrived_partitions(settings) == [DAYS[0], DAYS[2]]
    expected = rf"interactions dt={DAYS[1]} has files but no _SUCCESS: write it last, or set ATTUNE_ARRIVAL_MARKER=none"
    assert incomplete(settings, DAYS[1]) == expected
    assert [delivery.is_whole for delivery in deliveries(settings, "users").values()] == [True]


@pytest.mark.parametrize(("marker", "arrived"), [("none", [0, 1]), ("_DONE", [1]), ("auto", [0])])
def test_the_setting_says_which_marker_counts(tmp_path: Path, marker: str, arrived: list[int]) -> None:
    settings = home(tmp_path, ATTUNE_ARRIVAL_MARKER=marker)
    put(settings, DAYS[0], "a.parquet", "_SUCCESS")
    put(settings, DAYS[1], "a.parquet", "_DONE")
    assert arrived_partitions(settings) == [DAYS[number] for number in arrived]


def test_a_marker_is_a_file_name(tmp_path: Path) -> None:
    with pytest.raises(AttuneError, match="ATTUNE_ARRIVAL_MARKER as the name of a file"):
        home(tmp_path, ATTUNE_ARRIVAL_MARKER="../_SUCCESS")


def test_marking_again_changes_nothing(settings: Settings) -> None:
    folder = put(settings, DAYS[0], "a.parquet")
    mark_delivered(folder)
    before = (folder / "_SUCCESS").stat()
    mark_delivered(folder)
    assert (folder / "_SUCCESS").stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    "name", ["dt=20251107", "dt=2025-11-7", "dt=2025-W45-5", "date=2025-11-07", "2025-11-07", "dt=2025-11-07.bak"]
)
def test_a_folder_that_is_no_day_is_named(settings: Settings, name: str) -> None:
    put(settings, DAYS[0], "a.parquet")
    (settings.raw_dir("interactions") / name).mkdir()
    with pytest.raises(AttuneError, match=rf"expected folders dt=YYYY-MM-DD alone in .*interactions, found {name};"):
        arrived_partitions(settings)


def test_a_stray_file_is_named_and_hidden_names_are_not(settings: Settings) -> None:
    put(settings, DAYS[0], "a.parquet")
    for name in (".DS_Store", "_SUCCESS", "_delta_log"):
        (settings.raw_dir("interactions") / name).touch()
    assert arrived_partitions(settings) == [DAYS[0]]
    (settings.raw_dir("interactions") / "dt=2025-11-02").touch()
    with pytest.raises(AttuneError, match=r"found dt=2025-11-02, which is no folder"):
        arrived_partitions(settings)


@pytest.mark.parametrize("year", [2037, 2999])
def test_a_day_far_ahead_is_not_the_newest(settings: Settings, year: int) -> None:
    put(settings, DAYS[0], "a.parquet")
    put(settings, Partition.parse(f"{year}-01-01"), "a.parquet")
    assert newest_arrived(settings) == DAYS[0]


def test_tomorrow_may_arrive_today_and_the_day_after_may_not(settings: Settings) -> None:
    for day in DAYS[:3]:
        put(settings, day, "a.parquet")
    assert newest_arrived(settings, now=DAYS[0].starts_at) == DAYS[1]


def test_a_partition_later_than_the_newest_is_refused_where_logs_have_arrived(settings: Settings) -> None:
    require_arrived(settings, DAYS[1])
    put(settings, DAYS[0], "a.parquet")
    require_arrived(settings, DAYS[0])
    with pytest.raises(MissingArtefact, match=rf"expected a partition up to {DAYS[0]}, .*, found {DAYS[1]}"):
        require_arrived(settings, DAYS[1])
