"""Splits by hand: what is earlier, what is later, and what may be asked about."""

import pandas as pd
import pytest

from training.bench.shared.splits import first_interactions, inner_split, leave_last_out, split, temporal_split
from training.contracts.errors import AttuneError


def frame(*rows, **more):
    return first_interactions(pd.DataFrame(rows, columns=["user_id", "item_id", "occurred_at"]).assign(**more))


def pairs(rows):
    return [(r.user_id, r.item_id) for r in rows.itertuples()]


def test_repeated_pair_keeps_its_first_time():
    once = frame(("u", "a", 5), ("u", "b", 2), ("u", "a", 1))
    assert list(once[["item_id", "occurred_at"]].itertuples(index=False, name=None)) == [("a", 1), ("b", 2)]


def test_ties_of_time_keep_the_users_own_order():
    assert pairs(frame(("v", "z", 1), ("v", "a", 1), ("u", "q", 1))) == [("u", "q"), ("v", "z"), ("v", "a")]


def test_given_positions_win_over_the_order_of_rows():
    rows = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["b", "a"], "occurred_at": [1, 1], "position": [1, 0]})
    assert pairs(first_interactions(rows)) == [("u", "a"), ("u", "b")]


LOG = [("u", "a", 1), ("v", "b", 2), ("u", "c", 3), ("v", "a", 4), ("u", "b", 5)]


def test_temporal_cut_includes_its_instant_and_drops_unknown_ids():
    cut = temporal_split(frame(*LOG, ("w", "a", 6), ("u", "new", 7)), share=0.6)
    assert pairs(cut.train) == [("u", "a"), ("v", "b"), ("u", "c"), ("v", "a")]
    assert pairs(cut.test) == [("u", "b")], "w and new were never seen"


def test_equal_times_fall_on_one_side():
    cut = temporal_split(frame(("u", "a", 1), ("v", "b", 2), ("u", "b", 2), ("v", "a", 3)), share=0.5)
    assert len(cut.train) == 3
    assert pairs(cut.test) == [("v", "a")]


def test_given_cut_overrides_the_share():
    assert len(split(frame(*LOG), "temporal", cut=1).train) == 1


def test_outer_and_inner_shares():
    log = frame(*((f"u{n % 5}", f"i{n % 7}", n) for n in range(30)))
    outer = split(log, "temporal")
    assert len(outer.train) == 24
    assert len(inner_split(outer.train, "temporal").train) == 21


def test_too_short_a_log_says_what_it_needs():
    with pytest.raises(AttuneError, match="at least 2"):
        temporal_split(frame(("u", "a", 1)), share=0.8)


def test_interpolated_times_go_where_observed_neighbours_put_them():
    # u's times are observed at 1 and 9 alone: its middle pair may lie on either side of 5, so it is dropped
    log = frame(("u", "a", 1), ("u", "b", 4), ("u", "c", 9), ("v", "a", 2), ("v", "c", 3), ("v", "b", 8))
    log["exact"] = [int((u, i) != ("u", "b")) for u, i in pairs(log)]
    cut = temporal_split(log, 0.8, cut=5)
    assert pairs(cut.train) == [("u", "a"), ("v", "a"), ("v", "c")]
    assert pairs(cut.test) == [("u", "c")], "b was never seen before 5"


def test_pairs_beside_one_observed_time_alone_are_told_by_it_or_dropped():
    # a pair before an early observed time is early; one after it might be late, and is dropped
    log = frame(("u", "a", 1), ("u", "b", 2), ("u", "c", 9), ("v", "c", 1), ("v", "a", 8), ("v", "b", 9))
    log["exact"] = [int(pair in {("u", "b"), ("v", "a")}) for pair in pairs(log)]
    cut = temporal_split(log, 0.8, cut=5)
    assert sorted(pairs(cut.train)) == [("u", "a"), ("u", "b")]
    assert pairs(cut.test) == []


def test_last_item_of_each_user_is_held_out():
    last = leave_last_out(frame(*LOG, ("w", "a", 9)))
    assert pairs(last.train) == [("u", "a"), ("v", "b"), ("u", "c")]
    assert sorted(pairs(last.test)) == [("u", "b"), ("v", "a")], "w has nothing left to learn from"
    assert sorted(pairs(split(frame(*LOG), "loo").test)) == [("u", "b"), ("v", "a")]


def test_inner_cut_ignores_whether_times_were_observed():
    log = frame(*((f"u{n % 2}", f"i{n}", n) for n in range(20))).assign(exact=0)
    assert len(inner_split(log, "temporal").train) == 18
    assert len(inner_split(log, "loo").train) == 18
