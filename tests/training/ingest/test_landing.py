from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving_export.packed import pack_ids
from training.contracts.columns import RAW_INTERACTIONS
from training.contracts.errors import AttuneError, ContractViolation, MissingArtefact
from training.contracts.partitions import Partition
from training.ingest.landed_days import landed_partitions, manifest_path
from training.ingest.landing import land
from training.settings import Settings
from training.storage import arrow_schema

DAY = Partition.parse("2026-11-05")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home"), "ATTUNE_QUARANTINE_MAX_SHARE": "0.5"})


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "user_id": f"u{number % 3}",
        "item_id": f"i{number}",
        "event_type": "view",
        "event_value": None,
        "occurred_at": datetime(2026, 11, 5, 8, number, tzinfo=UTC),
        "session_id": None,
        "surface": "home",
        **changes,
    }


def arrive(settings: Settings, rows: list[dict[str, Any]], day: Partition = DAY, file: str = "a.parquet") -> Path:
    path = settings.raw_dir("interactions") / f"dt={day}" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def landed(settings: Settings, table: str = "interactions", day: Partition = DAY) -> pa.Table:
    return pq.ParquetFile(settings.landed_dir(table) / f"dt={day}" / "part-0.parquet").read()


def quarantined(settings: Settings, day: Partition = DAY) -> list[dict[str, Any]]:
    return pq.read_table(settings.quarantine_dir(day) / "interactions.parquet", partitioning=None).to_pylist()


def everything(settings: Settings, *folders: str) -> dict[str, bytes]:
    paths = [path for folder in folders for path in (settings.home / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(settings.home)): path.read_bytes() for path in sorted(paths)}


def test_good_rows_land_typed_and_nothing_is_quarantined(settings: Settings) -> None:
    arrive(settings, [event(1), event(2, event_type="rating", event_value=4.0)])
    report = land(settings, DAY)
    assert landed(settings).schema == arrow_schema(RAW_INTERACTIONS)
    assert landed(settings)["event_id"].to_pylist() == ["e1", "e2"]
    assert report.rows == {"interactions": 2, "users": 0, "items": 0}
    assert (report.landed, report.quarantined, report.notes) == ((str(DAY),), {}, ())
    assert not settings.quarantine_dir(DAY).exists()


def test_the_first_day_lands_every_table_so_that_readers_find_a_file(settings: Settings) -> None:
    arrive(settings, [event(1)])
    arrive(settings, [event(2, occurred_at=datetime(2026, 11, 6, tzinfo=UTC))], DAY.shift(1))
    land(settings, DAY.shift(1))
    assert landed(settings, "users").num_rows == 0
    assert not (settings.landed_dir("users") / f"dt={DAY.shift(1)}").exists()


def test_text_and_numbers_are_read_as_the_contract_types(settings: Settings) -> None:
    arrive(settings, [event(1, occurred_at="2026-11-05T08:00:00+02:00", user_id=7, event_value="3.5")])
    land(settings, DAY)
    (row,) = landed(settings).to_pylist()
    assert row["occurred_at"] == datetime(2026, 11, 5, 6, tzinfo=UTC)
    assert (row["user_id"], row["event_value"]) == ("7", 3.5)


@pytest.mark.parametrize(
    ("spoilt", "column", "reason"),
    [
        ({"user_id": None}, "user_id", "missing required value"),
        ({"item_id": "  "}, "item_id", "missing required value"),
        ({"occurred_at": None}, "occurred_at", "missing required value"),
        ({"event_type": "teleport"}, "event_type", "unknown event type"),
        ({"occurred_at": datetime(2026, 11, 6, tzinfo=UTC)}, "occurred_at", "time after the arrival day"),
    ],
)
def test_a_row_that_breaks_the_contract_is_quarantined_with_its_reason(
    settings: Settings, spoilt: dict[str, Any], column: str, reason: str
) -> None:
    path = arrive(settings, [event(1), event(2, **spoilt), event(3)])
    report = land(settings, DAY)
    (row,) = quarantined(settings)
    assert (row["column"], row["reason"], row["row"]) == (column, reason, 2)
    assert settings.home / row["file"] == path
    assert row["remedy"]
    assert '"event_id": "e2"' in row["raw"]
    assert landed(settings)["event_id"].to_pylist() == ["e1", "e3"]
    assert report.quarantined == {reason: 1}


@pytest.mark.parametrize(
    ("column", "cell"), [("occurred_at", "yesterday-ish"), ("event_value", "many"), ("event_value", "inf")]
)
def test_a_cell_of_the_wrong_type_is_quarantined(settings: Settings, column: str, cell: str) -> None:
    good = {"occurred_at": "2026-11-05T08:00:00Z", "event_value": "1"}
    arrive(settings, [event(1, **good), event(2, **{**good, column: cell}), event(3, **good)])
    land(settings, DAY)
    (row,) = quarantined(settings)
    assert (row["reason"], row["column"], row["value"]) == ("wrong type", column, cell)


def test_exact_duplicates_land_and_conflicting_ones_are_quarantined(settings: Settings) -> None:
    arrive(settings, [event(1), event(1), event(2)], file="a.parquet")
    arrive(settings, [event(2, item_id="other"), event(2), event(3)], file="b.parquet")
    land(settings, DAY)
    (row,) = quarantined(settings)
    assert (row["reason"], row["row"], Path(row["file"]).name) == ("duplicate id with other content", 1, "b.parquet")
    assert sorted(landed(settings)["event_id"].to_pylist()) == ["e1", "e1", "e2", "e2", "e3"]


def test_too_many_bad_rows_stop_the_day_and_nothing_lands(settings: Settings) -> None:
    arrive(settings, [event(1), event(2, event_type="warp"), event(3, event_type="beam"), event(4, user_id=None)])
    with pytest.raises(
        ContractViolation, match=r"found 3 of 4 .* event_type.* \(2 rows\), such as 'warp' in row 2"
    ) as e:
        land(settings, DAY)
    assert str(settings.quarantine_dir(DAY)) in str(e.value)
    assert "\n" not in str(e.value)
    assert len(quarantined(settings)) == 3
    assert not settings.landed_dir("interactions").exists()
    assert landed_partitions(settings) == []


def test_rows_corrected_at_the_source_land_and_leave_no_stale_quarantine(settings: Settings) -> None:
    arrive(settings, [event(1), event(2, event_type="warp")])
    land(settings, DAY)
    arrive(settings, [event(1), event(2)])
    report = land(settings, DAY)
    assert report.relanded == (str(DAY),)
    assert not (settings.quarantine_dir(DAY) / "interactions.parquet").exists()
    assert landed(settings).num_rows == 2


def test_a_missing_required_column_names_file_column_and_remedy(settings: Settings) -> None:
    row = event(1)
    del row["item_id"]
    path = arrive(settings, [row])
    with pytest.raises(ContractViolation, match=r"expected column item_id \(string\).*1 rows.*write the file") as error:
        land(settings, DAY)
    assert str(path) in str(error.value)


def test_a_missing_optional_column_is_null(settings: Settings) -> None:
    row = event(1)
    del row["surface"]
    arrive(settings, [row])
    land(settings, DAY)
    assert landed(settings)["surface"].to_pylist() == [None]


def test_a_column_that_no_cell_can_be_read_from_names_the_file(settings: Settings) -> None:
    arrive(settings, [event(1, user_id=["a"])])
    with pytest.raises(ContractViolation, match=r"column user_id of .*a\.parquet.*expected text, found list"):
        land(settings, DAY)


@pytest.mark.parametrize(("keep", "found"), [(0, "empty file"), (200, "whole Parquet file")])
def test_an_empty_or_truncated_file_is_named_and_leaves_nothing(settings: Settings, keep: int, found: str) -> None:
    path = arrive(settings, [event(1)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(AttuneError, match=rf"{found}.*write it again whole") as error:
        land(settings, DAY)
    assert str(path) in str(error.value)
    assert not settings.landed_dir("interactions").exists()


def test_a_day_without_rows_is_an_error(settings: Settings) -> None:
    path = arrive(settings, [event(1)])
    pq.write_table(pq.ParquetFile(path).read().slice(0, 0), path)
    with pytest.raises(AttuneError, match=rf"expected interactions of {DAY} in .*no rows"):
        land(settings, DAY)


def test_a_day_on_which_nothing_happened_is_empty_once_a_later_one_is_here(settings: Settings) -> None:
    arrive(settings, [event(1)])
    assert land(settings, DAY.shift(-1)).rows == {}


def test_a_day_that_has_not_arrived_names_the_folder_and_the_newest_day(settings: Settings) -> None:
    with pytest.raises(MissingArtefact, match="no day has arrived yet"):
        land(settings, DAY)
    arrive(settings, [event(1)])
    with pytest.raises(MissingArtefact, match=rf"dt={DAY.shift(2)}, found none; the newest day that arrived is {DAY}"):
        land(settings, DAY.shift(2))


def test_a_file_of_another_kind_is_not_skipped_in_silence(settings: Settings) -> None:
    arrive(settings, [event(1)])
    (settings.raw_dir("interactions") / f"dt={DAY}" / "more.csv").write_text("event_id\n")
    with pytest.raises(AttuneError, match=r"more\.csv"):
        land(settings, DAY)


def test_landing_again_changes_no_byte_and_lands_nothing(settings: Settings) -> None:
    arrive(settings, [event(1), event(2, event_type="warp")])
    land(settings, DAY)
    before = everything(settings, "landed", "quarantine")
    report = land(settings, DAY)
    assert everything(settings, "landed", "quarantine") == before
    assert (report.landed, report.relanded, report.rows) == ((), (), {})


def test_a_later_day_lands_the_days_before_it(settings: Settings) -> None:
    for shift in (0, 1, 3):
        day = DAY.shift(shift)
        arrive(settings, [event(shift, occurred_at=day.starts_at)], day)
    report = land(settings, DAY.shift(1))
    assert report.landed == (str(DAY), str(DAY.shift(1)))
    assert land(settings, DAY.shift(3)).landed == (str(DAY.shift(3)),)


def test_the_order_of_landing_does_not_show_in_the_bytes(settings: Settings, tmp_path: Path) -> None:
    other = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "other"), "ATTUNE_QUARANTINE_MAX_SHARE": "0.5"})
    days = [DAY, DAY.shift(1), DAY.shift(2)]
    for each in (settings, other):
        for number, day in enumerate(days):
            arrive(each, [event(number, occurred_at=day.starts_at), event(9, event_type="warp")], day)
    land(settings, days[2])
    for day in days:
        land(other, day)
    assert everything(settings, "landed", "quarantine") == everything(other, "landed", "quarantine")


def test_a_changed_older_day_lands_again_and_says_what_to_backfill(settings: Settings) -> None:
    for shift in (0, 1):
        arrive(settings, [event(shift, occurred_at=DAY.shift(shift).starts_at)], DAY.shift(shift))
    land(settings, DAY.shift(1))
    arrive(settings, [event(5)], DAY, file="late.parquet")
    report = land(settings, DAY.shift(1))
    assert report.relanded == (str(DAY),)
    (note,) = report.notes
    assert f"from {DAY} to {DAY.shift(1)}" in note
    assert "build_user_features" in note


def test_a_day_without_manifest_lands_again(settings: Settings) -> None:
    arrive(settings, [event(1)])
    land(settings, DAY)
    manifest_path(settings, DAY).unlink()
    assert land(settings, DAY).landed == (str(DAY),)


def test_users_and_items_land_with_lists_and_their_own_faults(settings: Settings) -> None:
    arrive(settings, [event(1)])
    for table, rows in {
        "users": [
            {"user_id": "u1", "valid_from": DAY.starts_at, "onboarding_item_ids": "i1|i2"},
            {"user_id": "u2", "valid_from": DAY.as_of, "onboarding_item_ids": "i1"},
        ],
        "items": [{"item_id": 5, "attributes": ["a=b"]}],
    }.items():
        path = settings.raw_dir(table) / f"dt={DAY}" / "x.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
    report = land(settings, DAY)
    assert landed(settings, "users")["onboarding_item_ids"].to_pylist() == [["i1", "i2"]]
    assert landed(settings, "items")["item_id"].to_pylist() == ["5"]
    assert report.quarantined == {"time after the arrival day": 1}


def unchecked(path: Path, column: str, cells: list[bytes]) -> None:
    """Write a text column of a file again without a check of its bytes."""
    rows, raw = pq.ParquetFile(path).read(), pa.array(cells)
    text = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    at = rows.column_names.index(column) if column in rows.column_names else rows.num_columns
    kept = rows.drop_columns([column]) if column in rows.column_names else rows
    pq.write_table(kept.add_column(at, column, text), path)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("user_id", "text that is not UTF-8"),
        ("surface", "text that is not UTF-8"),
        ("event_value", "wrong type"),
        ("occurred_at", "wrong type"),
    ],
)
def test_a_cell_that_is_not_utf8_is_quarantined_alone_and_blocks_no_later_day(
    settings: Settings, column: str, reason: str
) -> None:
    path = arrive(settings, [event(1), event(2), event(3)])
    good = b"2026-11-05T08:00:00Z" if column == "occurred_at" else b"4"
    unchecked(path, column, [good, good + b"\xff", good])
    arrive(settings, [event(4, occurred_at=DAY.shift(1).starts_at)], DAY.shift(1))
    land(settings, DAY.shift(1))
    (row,) = quarantined(settings)
    assert (row["reason"], row["column"], row["row"]) == (reason, column, 2)
    assert row["value"] == good.decode() + r"\xff"
    assert landed(settings)["event_id"].to_pylist() == ["e1", "e3"]
    assert landed(settings, day=DAY.shift(1)).num_rows == 1


def test_a_row_is_quarantined_whatever_its_other_columns_hold(settings: Settings) -> None:
    path = arrive(settings, [event(1), event(2, event_type="warp")])
    unchecked(path, "note", [b"ok", b"\xff"])
    land(settings, DAY)
    assert quarantined(settings)[0]["reason"] == "unknown event type"


def test_a_time_that_python_cannot_hold_is_quarantined(settings: Settings) -> None:
    path = arrive(settings, [event(1), event(2)])
    rows = pq.ParquetFile(path).read()
    times = pa.array([0, 2**58], pa.timestamp("us", tz="UTC"))
    pq.write_table(rows.set_column(rows.column_names.index("occurred_at"), "occurred_at", times), path)
    land(settings, DAY)
    (row,) = quarantined(settings)
    assert (row["reason"], row["value"][:6], row["row"]) == ("time after the arrival day", "11103-", 2)


@pytest.mark.parametrize("cell", ["end\0", "two\nlines", "x" * 50_000], ids=["nul", "line_break", "long"])
@pytest.mark.parametrize("column", ["event_id", "user_id", "item_id"])
def test_an_id_that_no_index_could_hold_is_quarantined(settings: Settings, column: str, cell: str) -> None:
    arrive(settings, [event(1), event(2, **{column: cell}), event(3)])
    land(settings, DAY)
    (row,) = quarantined(settings)
    assert (row["column"], row["row"], row["value"]) == (column, 2, cell)
    assert row["reason"].startswith("id ")
    assert pack_ids(sorted(set(landed(settings)[column].to_pylist())), column).dtype.itemsize <= 256


def test_a_very_long_cell_does_not_fill_the_message(settings: Settings) -> None:
    arrive(settings, [event(1, user_id="x" * 50_000)])
    with pytest.raises(ContractViolation, match=r"id longer than 256 bytes \(1 rows\), such as 'x{80}'\.\.\. in") as e:
        land(settings, DAY)
    assert len(str(e.value)) < 1_000


def test_one_number_among_written_times_is_quarantined_and_the_others_land(settings: Settings) -> None:
    times = [{"occurred_at": "0" if number == 7 else "2026-11-05T08:00:00Z"} for number in range(100)]
    arrive(settings, [event(number % 60, event_id=f"e{number}", **time) for number, time in enumerate(times)])
    land(settings, DAY)
    (row,) = quarantined(settings)
    assert (row["reason"], row["column"], row["value"], row["row"]) == ("wrong type", "occurred_at", "0", 8)
    assert landed(settings).num_rows == 99
