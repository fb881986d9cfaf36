"""Users have one part each, and positions their order."""

from datetime import UTC, datetime

import pytest

from serving_export.stream.entries import Entry, later, part_of


def test_a_user_has_one_part_and_parts_share_the_users() -> None:
    parts = [part_of(f"u{number}", 4) for number in range(1000)]
    assert parts == [part_of(f"u{number}", 4) for number in range(1000)]
    assert all(200 < parts.count(part) < 300 for part in range(4))
    assert part_of("half a pair \ud800", 1) == 0


@pytest.mark.parametrize(
    ("position", "than", "is_later"),
    [("5-0", "", True), ("5-0", "5-0", False), ("5-10", "5-9", True), ("10-0", "9-7", True), ("9-7", "10-0", False)],
)
def test_positions_are_numbers_not_text(position: str, than: str, is_later: bool) -> None:
    assert bool(later([Entry(position, 0, "users", b"{}")], than)) is is_later


def test_what_was_taken_in_before_is_cut_off() -> None:
    entries = [Entry(f"{at}-{n}", at, "users", b"{}") for at in (8, 9, 10) for n in range(12)]
    assert later(entries, "9-10") == entries[23:]
    assert later(entries, "") == entries
    assert later(entries, "11-0") == []


def test_an_entry_arrives_on_the_day_on_which_the_server_took_it() -> None:
    last = int(datetime(2026, 2, 13, 23, 59, 59, 999000, tzinfo=UTC).timestamp() * 1000)
    assert str(Entry("1-0", last, "users", b"{}").arrived_on) == "2026-02-13"
    assert str(Entry("1-0", last + 1, "users", b"{}").arrived_on) == "2026-02-14"
