"""Users have one part each, and positions their order."""

from datetime import UTC, datetime

import pytest

from serving_export.stream.entries import Entry, is_later, part_of


def test_a_user_has_one_part_and_parts_share_the_users() -> None:
    parts = [part_of(f"u{number}", 4) for number in range(1000)]
    assert parts == [part_of(f"u{number}", 4) for number in range(1000)]
    assert all(200 < parts.count(part) < 300 for part in range(4))
    assert part_of("half a pair \ud800", 1) == 0


@pytest.mark.parametrize(
    ("position", "than", "later"),
    [("5-0", "", True), ("5-0", "5-0", False), ("5-10", "5-9", True), ("10-0", "9-7", True), ("9-7", "10-0", False)],
)
def test_positions_are_numbers_not_text(position: str, than: str, later: bool) -> None:
    assert is_later(position, than) is later


def test_an_entry_arrives_on_the_day_on_which_the_server_took_it() -> None:
    last = int(datetime(2026, 2, 13, 23, 59, 59, 999000, tzinfo=UTC).timestamp() * 1000)
    assert str(Entry("1-0", last, "users", b"{}").arrived_on) == "2026-02-13"
    assert str(Entry("1-0", last + 1, "users", b"{}").arrived_on) == "2026-02-14"
