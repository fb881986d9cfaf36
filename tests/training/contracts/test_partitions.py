from datetime import UTC, datetime

import pytest

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition


def test_as_of_is_the_next_midnight_across_a_leap_day() -> None:
    partition = Partition.parse("2024-02-29")
    assert partition.starts_at == datetime(2024, 2, 29, tzinfo=UTC)
    assert partition.as_of == datetime(2024, 3, 1, tzinfo=UTC)
    assert str(partition) == "2024-02-29"


def test_partitions_sort_by_day_and_shift_both_ways() -> None:
    later, earlier = Partition.parse("2000-01-01"), Partition.parse("1999-12-31")
    assert sorted([later, earlier]) == [earlier, later]
    assert earlier.shift(1) == later
    assert later.shift(-1) == earlier


@pytest.mark.parametrize("text", ["", "2026-13-01", "05.11.2026", "2026-11-05T00:00", "yesterday"])
def test_text_that_names_no_day_is_refused_with_the_form_to_use(text: str) -> None:
    with pytest.raises(AttuneError, match="YYYY-MM-DD"):
        Partition.parse(text)


@pytest.mark.parametrize("text", ["20261105", "2026-W45-4", "2026-11-5", "\u0662026-11-05", "2026-11-05 "])
def test_a_day_is_written_in_one_way(text: str) -> None:
    with pytest.raises(AttuneError, match="YYYY-MM-DD"):
        Partition.parse(text)
