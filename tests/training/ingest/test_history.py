from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.columns import RAW_USERS
from training.contracts.partitions import Partition
from training.ingest.history import History, complete, order_within_ties, write_history
from training.settings import Settings

NOON = datetime(2001, 1, 1, 12, tzinfo=UTC)


def events(**columns: list) -> pa.Table:
    base = {"user_id": ["u", "u"], "item_id": ["i", "j"], "event_type": ["view"] * 2, "occurred_at": [NOON, NOON]}
    return pa.table({**base, **columns})


def test_ties_of_one_user_are_spread_in_source_order_and_others_stay() -> None:
    users = pa.chunked_array([["a", "b", "a", "a", "b", "a"]])
    times = np.array([5, 5, 5, 9, 7, 5])
    assert order_within_ties(users, times).tolist() == [5, 5, 6, 9, 7, 7]
    assert order_within_ties(pa.chunked_array([], type=pa.string()), np.zeros(0, np.int64)).tolist() == []


def test_event_ids_count_source_rows_unless_the_source_has_its_own(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    path = settings.raw_dir("interactions") / "dt=2001-01-01" / "x.parquet"
    write_history(settings, History(source="s", interactions=events()), "x")
    assert pq.ParquetFile(path).read()["event_id"].to_pylist() == ["x-2001-01-01-000000000", "x-2001-01-01-000000001"]
    write_history(settings, History(source="s", interactions=events(event_id=["p", "q"])), "x")
    assert pq.ParquetFile(path).read()["event_id"].to_pylist() == ["p", "q"]


def test_a_second_import_shares_no_event_id_with_the_first(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    later = [NOON + timedelta(days=1), NOON + timedelta(days=31)]
    write_history(settings, History(source="s", interactions=events()), "x")
    write_history(settings, History(source="s", interactions=events(occurred_at=later)), "x")
    files = sorted(settings.raw_dir("interactions").glob("*/*.parquet"))
    ids = [one for path in files for one in pq.ParquetFile(path).read()["event_id"].to_pylist()]
    assert len(set(ids)) == len(ids) == 4


def test_an_arrival_day_of_the_source_overrides_the_event_day(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    arrived = pa.array([date(2001, 1, 1), date(2001, 1, 3)])
    report = write_history(settings, History(source="s", interactions=events(arrived_on=arrived)), "x")
    assert report.days == ("2001-01-01", "2001-01-03")
    late = pq.ParquetFile(settings.raw_dir("interactions") / "dt=2001-01-03" / "x.parquet").read()
    assert late["item_id"].to_pylist() == ["j"]


def test_users_arrive_with_the_log_or_when_the_source_says(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    later = pa.table({"user_id": ["u", "v"], "arrived_on": [date(2001, 1, 1), date(2001, 1, 3)]})
    days = {"x": pa.table({"user_id": ["u", "v"]}), "y": later}
    for name, users in days.items():
        arrived = pa.array([date(2001, 1, 1), date(2001, 1, 4)])
        write_history(settings, History(source="s", interactions=events(arrived_on=arrived), users=users), name)
    raw = settings.raw_dir("users")
    assert {path.relative_to(raw).as_posix() for path in raw.glob("*/*.parquet")} == {
        "dt=2001-01-01/x.parquet",
        "dt=2001-01-01/y.parquet",
        "dt=2001-01-03/y.parquet",
    }
    (row,) = pq.ParquetFile(raw / "dt=2001-01-03" / "y.parquet").read().to_pylist()
    assert (row["user_id"], row["valid_from"]) == ("v", datetime(2001, 1, 3, tzinfo=UTC))


def test_absent_contract_columns_are_null_and_validity_starts_with_the_log() -> None:
    users = complete(pa.table({"user_id": ["u"]}), "users", Partition.parse("2001-01-01"))
    assert tuple(users.column_names) == RAW_USERS.column_names
    (row,) = users.to_pylist()
    assert row["valid_from"] == datetime(2001, 1, 1, tzinfo=UTC)
    assert row["country"] is None
