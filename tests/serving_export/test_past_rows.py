"""Rows of users and moments come from Parquet and CSV as they stand there, moments in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving_export import past_rows
from serving_export.past_rows import read_rows
from training.contracts.errors import AttuneError

MIDNIGHT = datetime(2026, 11, 5, tzinfo=UTC)


def rows(path: Path) -> list[tuple[str, datetime]]:
    return [row for users, moments in read_rows(path) for row in zip(users, moments, strict=True)]


def test_csv_keeps_ids_as_text_and_reads_every_form_of_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    text = "as_of,user_id,label\n2026-11-05,007,1\n2026-11-05T02:00:00+02:00,NaN,0\n2026-11-05T00:00:00Z,ä,\n"
    path.write_text(text, encoding="utf-8-sig")
    assert rows(path) == [("007", MIDNIGHT), ("NaN", MIDNIGHT), ("ä", MIDNIGHT)]


@pytest.mark.parametrize(
    "moments",
    [
        pa.array([MIDNIGHT], pa.timestamp("ns", tz="UTC")),
        pa.array([MIDNIGHT.astimezone(timezone(timedelta(hours=5)))], pa.timestamp("ms", tz="+05:00")),
        pa.array([MIDNIGHT.replace(tzinfo=None)], pa.timestamp("us")),
        pa.array([date(2026, 11, 5)], pa.date32()),
        pa.array(["2026-11-05"], pa.large_string()),
    ],
)
def test_parquet_may_hold_moments_of_any_type(tmp_path: Path, moments: pa.Array) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"user_id": ["u1"], "as_of": moments}), path)
    assert rows(path) == [("u1", MIDNIGHT)]


def test_a_large_file_comes_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_rows, "ROWS_AT_ONCE", 2)
    table = pa.table({"user_id": [f"u{n}" for n in range(5)], "as_of": ["2026-11-05"] * 5})
    pq.write_table(table, tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("user_id,as_of\n" + "".join(f"u{n},2026-11-05\n" for n in range(5)))
    for name in ("rows.parquet", "rows.csv"):
        assert [len(users) for users, _ in read_rows(tmp_path / name)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_id,when\nu1,2026-11-05\n", "as_of"),
        ("user_id,as_of\nu1,yesterday\n", "found 'yesterday'"),
        ("user_id,as_of\nu1,0001-01-01T00:00:00+14:00\n", "as a day or a moment"),
        ("", "columns user_id and as_of"),
    ],
)
def test_what_is_no_such_file_says_what_was_found(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(AttuneError, match=message):
        rows(path)


def test_a_missing_file_column_or_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(AttuneError, match="check --rows"):
        rows(tmp_path / "none.csv")
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"user_id": ["u1"]}), path)
    with pytest.raises(AttuneError, match="no as_of"):
        rows(path)
    pq.write_table(pa.table({"user_id": ["u1", None], "as_of": ["2026-11-05"] * 2}), path)
    with pytest.raises(AttuneError, match="user_id in every row"):
        rows(path)
