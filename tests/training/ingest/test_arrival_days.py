"""Ties of one user are put into the source's order, and everything else stays in order of time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.ingest.arrival_days import event_ids, raise_ties, side_arrivals
from training.ingest.staged_days import day_of


def plainly(users: list[str], stamps: list[int]) -> list[tuple[int, int]]:
    """Return (time, place) of rows in source order, one by one: each repetition of a user's time comes 1 µs later."""
    times: dict[tuple[str, int], int] = {}
    raised = []
    for place, key in enumerate(zip(users, stamps, strict=True)):
        raised.append((key[1] + times.get(key, 0), place))
        times[key] = times.get(key, 0) + 1
    return sorted(raised)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=30), st.integers(1, 2))
@settings(deadline=None)
def test_rows_are_ordered_as_one_by_one(events: list[tuple[str, int]], step: int) -> None:
    users, stamps = [user for user, _ in events], [at * step for _, at in events]
    order = sorted(range(len(events)), key=lambda row: (stamps[row], row))
    rows = pa.table(
        {
            "user_id": pa.array([users[row] for row in order], pa.string()),
            "stamp": pa.array([stamps[row] for row in order], pa.int64()),
            "place": pa.array(order, pa.int64()),
            "tie": pa.array([hash((users[row], stamps[row])) & (2**63 - 1) for row in order], pa.uint64()),
        }
    )
    found = raise_ties(rows)
    assert list(zip(found["stamp"].to_pylist(), found["place"].to_pylist(), strict=True)) == plainly(users, stamps)


def test_event_ids_count_the_days_rows_in_source_order() -> None:
    ids = event_ids("csv", day_of(0), np.array([7, 2, 9])).to_pylist()
    assert ids == ["csv-1970-01-01-000000001", "csv-1970-01-01-000000000", "csv-1970-01-01-000000002"]


@pytest.mark.parametrize(
    ("came", "seen", "arrives"),
    [(np.nan, None, 10), (5, None, 10), (10, None, 10), (11, None, 12), (12, None, 12), (11, 10, 10), (20, None, 12)],
)
def test_a_side_arrives_on_the_first_day_with_interactions_since_it_came(
    came: float, seen: float | None, arrives: int
) -> None:
    days = np.array([10, 12])
    met = None if seen is None else np.array([float(seen)])
    assert side_arrivals(days, np.array([float(came)]), met).tolist() == [arrives]
