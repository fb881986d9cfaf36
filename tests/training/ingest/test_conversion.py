from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pyarrow as pa
import pytest

from training.ingest.conversion import convert, legible

MOMENT = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
STRING = pa.string()


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


@pytest.mark.parametrize("stray", ["0", "20261105", "1762336800", "soon"])
def test_one_odd_cell_among_written_times_fails_alone(stray: str) -> None:
    result = convert(pa.array(["2001-09-09T01:46:40Z", stray, None, "2001-09-09T01:46:40Z"]), "timestamp")
    assert result.values.to_pylist() == [MOMENT, None, None, MOMENT]
    assert result.failed.tolist() == [False, True, False, False]


@pytest.mark.parametrize("unit", [1, 1_000])
def test_text_of_numbers_counts_seconds_or_milliseconds_and_an_odd_cell_fails_alone(unit: int) -> None:
    numbers = [str(1_000_000_000 * unit)] * 2
    assert convert(pa.array(numbers), "timestamp").values.to_pylist() == [MOMENT] * 2
    result = convert(pa.array([*numbers, "soon", "2001-09-09T01:46:40Z", ""]), "timestamp")
    assert result.values.to_pylist() == [MOMENT, MOMENT, None, MOMENT, None]
    assert result.failed.tolist() == [False, False, True, False, False]


def test_a_number_beside_as_many_written_times_is_not_trusted() -> None:
    assert convert(pa.array(["0", "2001-09-09T01:46:40Z"]), "timestamp").failed.tolist() == [True, False]


def not_utf8(cells: list[bytes | None], kind: pa.DataType = STRING) -> pa.Array:
    """Text as a careless writer leaves it in a file: its bytes are not checked."""
    raw = pa.array(cells, pa.binary() if kind == STRING else pa.large_binary())
    return pa.Array.from_buffers(kind, len(raw), raw.buffers(), null_count=raw.null_count)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_text_that_is_not_utf8_fails_alone_whatever_it_was_to_be(kind: pa.DataType) -> None:
    cells = not_utf8([b"1000000000", b"1\xff", None, b"1000000000"], kind)
    for contract in ("string", "double", "timestamp", "strings"):
        result = convert(cells, contract)
        result.values.validate(full=True)
        assert result.failed.tolist() == [False, True, False, False]
        assert result.values.is_null().to_pylist() == [False, True, True, False]


def test_bytes_are_read_as_text_and_a_list_fails_with_one_of_its_parts() -> None:
    result = convert(pa.array([b"a", b"\xff", None]), "string")
    assert (result.values.to_pylist(), result.failed.tolist()) == (["a", None, None], [False, True, False])
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 3, 3], pa.int32()), not_utf8([b"a", b"b", b"\xff"]))
    result = convert(lists, "strings")
    assert (result.values.to_pylist(), result.failed.tolist()) == ([["a"], None, []], [False, True, False])


def test_every_cell_can_be_shown_as_it_came() -> None:
    bad = not_utf8([b"a\xff"])
    year = pa.array([2**58], pa.timestamp("us"))
    assert legible(bad[0]) == legible(bad.dictionary_encode()[0]) == r"a\xff"
    assert legible(pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), bad)[0]) == [r"a\xff"]
    assert legible(pa.StructArray.from_arrays([bad, year], ["a", "b"])[0]) == {
        "a": r"a\xff",
        "b": "11103-08-29 17:22:31.711744",
    }
    assert legible(pa.scalar(7)) == 7


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


@pytest.mark.parametrize("number", [0, 1, 20180920, 86_400, -5, 20180920.0])
def test_a_number_that_is_no_plausible_time_fails(number: float) -> None:
    result = convert(pa.array([number]), "timestamp")
    assert result.values.to_pylist() == [None]
    assert result.failed.tolist() == [True]


def test_ids_in_doubles_keep_every_digit_and_nan_is_none() -> None:
    result = convert(pa.array([17850.0, 1e16, 2.5, float("nan"), None]), "string")
    assert result.values.to_pylist() == ["17850", "10000000000000000", "2.5", None, None]


def test_a_uuid_becomes_its_36_characters_and_sixteen_letters_stay() -> None:
    one = UUID("dc639149-a618-4d26-a2cd-e334eff0e7a1")
    raw = pa.array([one.bytes, None], pa.binary(16))
    for cells in (raw, pa.ExtensionArray.from_storage(pa.uuid(), raw)):
        assert convert(cells, "string").values.to_pylist() == [str(one), None]
    assert convert(pa.array([b"abcdefghijklmnop"], pa.binary(16)), "string").values.to_pylist() == ["abcdefghijklmnop"]
