from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from training.ingest.conversion import convert

MOMENT = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    "cell",
    [
        1_000_000_000,
        1_000_000_000.0,
        1_000_000_000_000,
        1_000_000_000_000_000,
        1_000_000_000_000_000_000,
        "1000000000",
        "2001-09-09T01:46:40Z",
        "2001-09-09T03:46:40+02:00",
        "2001-09-09 01:46:40",
        MOMENT,
        MOMENT.replace(tzinfo=None),
    ],
)
def test_every_usual_way_to_write_a_time_gives_the_same_moment(cell: object) -> None:
    result = convert(pa.array([cell]), "timestamp")
    assert result.values.to_pylist() == [MOMENT]
    assert not result.failed.any()


def test_a_date_is_its_midnight() -> None:
    assert convert(pa.array([date(2026, 11, 5)]), "timestamp").values.to_pylist() == [datetime(2026, 11, 5, tzinfo=UTC)]


def test_a_year_beyond_nanoseconds_is_still_a_time() -> None:
    result = convert(pa.array(["2999-01-01T00:00:00+00:00", "never"]), "timestamp")
    assert result.values.to_pylist() == [datetime(2999, 1, 1, tzinfo=UTC), None]
    assert result.failed.tolist() == [False, True]


def test_nulls_and_blanks_do_not_fail() -> None:
    assert convert(pa.array([None, " ", "x"]), "double").failed.tolist() == [False, False, True]
    assert convert(pa.array([None, "", "x"]), "timestamp").failed.tolist() == [False, False, True]


def test_numbers_must_be_finite() -> None:
    result = convert(pa.array([1.5, float("inf"), float("nan"), None]), "double")
    assert result.values.to_pylist() == [1.5, None, None, None]
    assert result.failed.tolist() == [False, True, False, False]


def test_lists_come_from_lists_or_bars() -> None:
    assert convert(pa.array(["a|b", None]), "strings").values.to_pylist() == [["a", "b"], None]
    assert convert(pa.array([[1, 2]]), "strings").values.to_pylist() == [["1", "2"]]


def test_dictionary_and_all_null_columns_are_read() -> None:
    assert convert(pa.array(["a", "a"]).dictionary_encode(), "string").values.to_pylist() == ["a", "a"]
    assert convert(pa.nulls(2), "string").values.to_pylist() == [None, None]
    assert convert(pa.chunked_array([], type=pa.string()), "string").values.to_pylist() == []


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([["a"]]), "string"),
        (pa.array([["a"]]), "double"),
        (pa.array([True]), "timestamp"),
        (pa.array([1]), "strings"),
    ],
)
def test_a_hopeless_type_is_an_error(column: pa.Array, kind: str) -> None:
    with pytest.raises(TypeError, match="expected"):
        convert(column, kind)  # type: ignore[arg-type]
