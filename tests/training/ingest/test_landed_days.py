"""What lies in raw against what has landed of it: days that are whole, broken, late, withdrawn, empty or far ahead."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.ingest.raw_logs import DAYS, deliver, event, events, everything, home, landed_ids
from training.contracts.columns import NULL_IDS
from training.contracts.errors import AttuneError, ContractViolation, MissingArtefact, TransientFailure
from training.contracts.partitions import Partition
from training.ingest.arrivals import mark_delivered, withdraw
from training.ingest.landed_days import landed_partitions, late_days, require_landed
from training.ingest.landing import land
from training.settings import Settings

FAR = Partition.parse("2999-01-01")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home(tmp_path)


def deliver_days(settings: Settings, *days: Partition) -> None:
    for day in days:
        deliver(settings, day, events(day, 20, prefix=f"{day}-"))


class TestWhole:
    def test_a_day_without_its_marker_has_not_arrived_until_it_is_there(self, settings: Settings) -> None:
        deliver_days(settings, DAYS[0], DAYS[1])
        folder = deliver(settings, DAYS[2], events(DAYS[2], 20, prefix="c")).parent
        mark_delivered(settings.raw_dir("interactions") / f"dt={DAYS[0]}")
        mark_delivered(folder)
        report = land(settings, DAYS[2])
        assert report.landed == (str(DAYS[0]), str(DAYS[2]))
        assert any(f"{DAYS[1]} has not arrived" in note and "no _SUCCESS" in note for note in report.notes)
        assert report.empty == ()
        with pytest.raises(MissingArtefact, match=r"has files but no _SUCCESS: write it last, or set ATTUNE_ARR"):
            land(settings, DAYS[1])
        mark_delivered(settings.raw_dir("interactions") / f"dt={DAYS[1]}")
        assert land(settings, DAYS[1]).landed == (str(DAYS[1]),)

    def test_days_that_landed_before_the_first_marker_stay(self, settings: Settings) -> None:
        deliver_days(settings, DAYS[0])
        land(settings, DAYS[0])
        mark_delivered(deliver(settings, DAYS[1], events(DAYS[1], 20, prefix="b")).parent)
        land(settings, DAYS[1])
        assert len(landed_ids(settings, DAYS[0])) == 20

    def test_a_side_table_on_its_way_holds_its_day_back(self, settings: Settings) -> None:
        deliver_days(settings, DAYS[0])
        (settings.raw_dir("items") / f"dt={DAYS[0]}" / "_temporary").mkdir(parents=True)
        with pytest.raises(MissingArtefact, match=r"items dt=2025-11-01 holds _temporary, which is not finished"):
            land(settings, DAYS[0])

    def test_a_marker_alone_empties_a_day(self, settings: Settings) -> None:
        deliver_days(settings, DAYS[0], DAYS[1])
        mark_delivered(settings.raw_dir("interactions") / f"dt={DAYS[1]}")
        mark_delivered(settings.raw_dir("interactions") / f"dt={DAYS[0]}")
        land(settings, DAYS[1])
        (settings.raw_dir("interactions") / f"dt={DAYS[0]}" / "part-0.parquet").unlink()
        assert land(settings, DAYS[1]).relanded == (str(DAYS[0]),)
        assert landed_ids(settings, DAYS[0]) == []

    def test_no_trace_of_a_marker_is_left_in_what_landed(self, settings: Settings, tmp_path: Path) -> None:
        other = home(tmp_path / "other")
        for each in (settings, other):
            deliver_days(each, DAYS[0])
        mark_delivered(other.raw_dir("interactions") / f"dt={DAYS[0]}")
        land(settings, DAYS[0])
        land(other, DAYS[0])
        assert everything(settings) == everything(other)


class TestBroken:
    @pytest.mark.parametrize("landed_before", [True, False])
    def test_an_old_file_that_cannot_be_read_stops_no_later_day(self, settings: Settings, landed_before: bool) -> None:
        deliver_days(settings, *DAYS[:3])
        if landed_before:
            land(settings, DAYS[0])
        broken = settings.raw_dir("interactions") / f"dt={DAYS[0]}" / "part-0.parquet"
        broken.write_bytes(b"PAR1 and no more")
        report = land(settings, DAYS[1])
        assert report.landed == (str(DAYS[1]),)
        assert str(broken) in report.refused[str(DAYS[0])]
        words = "keeps what landed of it before" if landed_before else "has not landed"
        assert any(note.startswith(f"{DAYS[0]} {words}") for note in report.notes)
        assert len(landed_ids(settings, DAYS[0])) == (20 if landed_before else 0)
        assert [late["partition"] for late in late_days(settings)] == [str(DAYS[0])]
        assert land(settings, DAYS[2]).landed == (str(DAYS[2]),)
        with pytest.raises(AttuneError, match="whole Parquet file"):
            land(settings, DAYS[0])

    def test_too_many_bad_rows_on_an_old_day_stop_no_later_day(self, settings: Settings) -> None:
        deliver(settings, DAYS[0], events(DAYS[0], 20, item_id=None))
        deliver_days(settings, DAYS[1])
        assert land(settings, DAYS[1]).landed == (str(DAYS[1]),)
        assert landed_partitions(settings) == [DAYS[1]]

    def test_a_file_that_may_not_be_read_now_may_be_tried_again(self, settings: Settings) -> None:
        path = deliver(settings, DAYS[0], events(DAYS[0], 5))
        path.unlink()
        path.symlink_to(path.with_name("gone.parquet"))
        with pytest.raises(TransientFailure, match=rf"expected to read {path}, found No such file"):
            land(settings, DAYS[0])

    def test_a_folder_named_as_a_file_and_a_column_twice_are_named(self, settings: Settings) -> None:
        path = deliver(settings, DAYS[0], events(DAYS[0], 5))
        rows = pq.ParquetFile(path).read()
        pq.write_table(rows.append_column("surface", rows["surface"]), path)
        with pytest.raises(ContractViolation, match=rf"expected one column surface in {path}, found 2"):
            land(settings, DAYS[0])
        path.unlink()
        path.mkdir()
        with pytest.raises(AttuneError, match=r"found part-0\.parquet"):
            land(settings, DAYS[0])

    def test_a_type_that_nothing_is_read_from_names_file_column_and_remedy(self, settings: Settings) -> None:
        path = deliver(settings, DAYS[0], events(DAYS[0], 5))
        rows = pq.ParquetFile(path).read()
        cells = pa.array([{"a": 1}] * 5)
        pq.write_table(rows.set_column(rows.column_names.index("occurred_at"), "occurred_at", cells), path)
        with pytest.raises(ContractViolation, match=rf"column occurred_at of {path}, .*write it as timestamp"):
            land(settings, DAYS[0])


class TestLate:
    def test_nothing_is_late_after_a_landing(self, settings: Settings) -> None:
        deliver_days(settings, *DAYS[:2])
        land(settings, DAYS[1])
        assert late_days(settings) == []
        deliver_days(settings, DAYS[2])
        assert late_days(settings) == []

    def test_files_that_came_after_are_listed_with_the_command_that_takes_them_in(self, settings: Settings) -> None:
        deliver_days(settings, DAYS[0], DAYS[2])
        land(settings, DAYS[2])
        deliver(settings, DAYS[0], [event("late", DAYS[0])], file="part-1.parquet")
        deliver_days(settings, DAYS[1])
        changed = deliver(settings, DAYS[2], events(DAYS[2], 3, prefix="new"))
        os.utime(changed, (0, 0))
        late = late_days(settings)
        assert [(day["partition"], day["reason"]) for day in late] == [
            (str(DAYS[0]), "has other raw files than landed"),
            (str(DAYS[1]), "has arrived and has not landed"),
            (str(DAYS[2]), "its raw files changed after it landed"),
        ]
        assert {day["command"] for day in late} == {f"python -m training.jobs land_partition --partition {DAYS[2]}"}
        land(settings, DAYS[2])
        assert late_days(settings) == []
        assert "late" in landed_ids(settings, DAYS[0])

    def test_a_file_written_again_as_it_was_is_not_late(self, settings: Settings) -> None:
        deliver_days(settings, DAYS[0])
        land(settings, DAYS[0])
        deliver_days(settings, DAYS[0])
        assert late_days(settings) == []


class TestGone:
    def test_days_whose_raw_files_were_archived_stay_landed(self, settings: Settings) -> None:
        deliver_days(settings, *DAYS[:3])
        land(settings, DAYS[2])
        before = everything(settings)
        shutil.rmtree(settings.raw_dir("interactions") / f"dt={DAYS[0]}")
        assert late_days(settings) == []
        assert not any("withdrawn" in note for note in land(settings, DAYS[2]).notes)
        assert everything(settings) == before

    def test_a_day_that_was_delivered_again_is_withdrawn_no_more(self, settings: Settings) -> None:
        deliver_days(settings, *DAYS[:3])
        land(settings, DAYS[2])
        withdraw(settings, DAYS[0])
        land(settings, DAYS[2])
        shutil.rmtree(settings.raw_dir("interactions") / f"dt={DAYS[0]}")
        land(settings, DAYS[2])
        assert landed_ids(settings, DAYS[0])

    def test_a_withdrawn_day_leaves_nothing(self, settings: Settings, tmp_path: Path) -> None:
        other = home(tmp_path / "other")
        deliver_days(other, *DAYS[1:3])
        land(other, DAYS[2])
        deliver_days(settings, *DAYS[:3])
        land(settings, DAYS[2])
        folder = settings.raw_dir("interactions") / f"dt={DAYS[0]}"
        (folder / "part-0.parquet").unlink()
        folder.rmdir()
        withdraw(settings, DAYS[0])
        assert [late["reason"] for late in late_days(settings)] == ["was withdrawn, its rows are still landed"]
        report = land(settings, DAYS[2])
        assert any(f"{DAYS[0]}: withdrawn" in note for note in report.notes)
        assert any(f"backfill build_user_features from {DAYS[0]} to {DAYS[2]}" in note for note in report.notes)
        assert everything(settings) == everything(other)


class TestEmpty:
    def test_days_taken_as_empty_are_said_once(self, settings: Settings) -> None:
        deliver_days(settings, DAYS[0], DAYS[3])
        report = land(settings, DAYS[3])
        assert report.empty == (str(DAYS[1]), str(DAYS[2]))
        assert any("taken as empty" in note and str(DAYS[1]) in note for note in report.notes)
        assert land(settings, DAYS[3]).empty == ()
        assert land(settings, DAYS[2]).empty == (str(DAYS[2]),)

    def test_the_task_log_says_it(self, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
        deliver_days(settings, DAYS[0], DAYS[2])
        land(settings, DAYS[1])
        assert f"{DAYS[1]}: no interactions, taken as empty" in caplog.text


class TestFarAhead:
    def test_a_day_far_ahead_is_left_alone_and_told(self, settings: Settings) -> None:
        deliver_days(settings, DAYS[0], DAYS[1], FAR)
        report = land(settings, DAYS[1])
        assert report.landed == (str(DAYS[0]), str(DAYS[1]))
        assert any(f"{FAR}: after tomorrow by this machine's clock" in note for note in report.notes)
        with pytest.raises(MissingArtefact, match=f"{FAR} lies after tomorrow .* newest day that arrived is {DAYS[1]}"):
            land(settings, FAR)
        with pytest.raises(MissingArtefact, match=f"the newest day that arrived is {DAYS[1]}"):
            land(settings, DAYS[2])

    def test_a_day_far_ahead_alone_is_no_arrival(self, settings: Settings) -> None:
        deliver_days(settings, FAR)
        with pytest.raises(MissingArtefact, match="no day has arrived yet"):
            land(settings, DAYS[0])


@pytest.mark.parametrize("column", ["user_id", "item_id", "event_id"])
@pytest.mark.parametrize("text", [*NULL_IDS, " NaN ", "null\u00a0"])
def test_what_stands_for_nothing_is_nobody(settings: Settings, column: str, text: str) -> None:
    rows = events(DAYS[0], 40)
    deliver(settings, DAYS[0], [*rows, {**event("x", DAYS[0]), column: text}])
    assert land(settings, DAYS[0]).quarantined == {"missing required value": 1}


@pytest.mark.parametrize("text", ["Nancy", "NAN", "na", "none", "0", "null-1"])
def test_a_name_that_only_looks_like_nothing_is_somebody(settings: Settings, text: str) -> None:
    deliver(settings, DAYS[0], [event("x", DAYS[0], user_id=text)])
    assert land(settings, DAYS[0]).quarantined == {}


def test_a_day_that_lies_in_raw_and_has_not_landed_is_not_built(settings: Settings) -> None:
    require_landed(settings, DAYS[0])
    deliver_days(settings, DAYS[0])
    with pytest.raises(
        MissingArtefact, match=rf"expected {DAYS[0]} to have landed, .* run land_partition for {DAYS[0]}"
    ):
        require_landed(settings, DAYS[0])
    land(settings, DAYS[0])
    require_landed(settings, DAYS[0])
