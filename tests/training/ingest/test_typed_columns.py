from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from training.contracts.errors import AttuneError
from training.ingest.typed_columns import typed

FILE = Path("events.csv")
ROWS = pa.table({"u": [1, 2], "item_id": ["i", "j"], "occurred_at": [978307200, 978307201]})


def test_columns_are_renamed_converted_and_filled_from_constants() -> None:
    rows = typed(ROWS, FILE, columns={"u": "user_id"}, constants={"event_type": "click"}).to_pylist()
    assert [(row["user_id"], row["event_type"]) for row in rows] == [("1", "click"), ("2", "click")]
    assert rows[0]["occurred_at"].year == 2001


@pytest.mark.parametrize("cell", ["soon", None])
def test_a_row_without_a_time_has_no_day_and_is_named(cell: str | None) -> None:
    rows = ROWS.set_column(2, "occurred_at", pa.array(["978307200", cell]))
    with pytest.raises(AttuneError, match=rf"column occurred_at of events\.csv, found {cell!r} in data row 2 \(1 such"):
        typed(rows, FILE, columns={"u": "user_id"})


def test_a_column_of_a_hopeless_type_is_named() -> None:
    rows = ROWS.set_column(1, "item_id", pa.array([["i"], ["j"]]))
    with pytest.raises(AttuneError, match=r"column item_id of events\.csv: expected text, found list"):
        typed(rows, FILE, columns={"u": "user_id"})


def test_text_that_is_not_utf8_is_shown_byte_by_byte() -> None:
    rows = ROWS.set_column(1, "item_id", pa.array([b"i", b"j\xff"]).cast(pa.string(), safe=False))
    with pytest.raises(AttuneError, match=r"column item_id of events\.csv, found 'j\\\\xff' in data row 2"):
        typed(rows, FILE, columns={"u": "user_id"})
