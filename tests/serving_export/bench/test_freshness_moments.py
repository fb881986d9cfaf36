"""Moments, truths and lists on a day that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from serving_export.bench.freshness_moments import Moments, dense_days, first_met, known_days, moments_of, score_moments
from training.contracts.errors import AttuneError
from training.evaluation.light_model import LightModel

ITEMS = ["a", "b", "c", "d"]
PAST = pd.DataFrame({"user_id": ["u", "u", "v", "v"], "item_id": ["a", "a", "b", "gone"]})


def day(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["user_id", "item_id", "occurred_at"])


def cells(moments: Moments, name: str) -> list[set[str]]:
    matrix = getattr(moments, name)
    return [{ITEMS[column] for column in matrix[row].indices} for row in range(matrix.shape[0])]


def test_what_is_met_first_after_another_event_of_the_day_is_judged() -> None:
    events = day(
        ("u", "b", 1), ("u", "c", 2), ("u", "b", 2), ("u", "d", 3), ("v", "a", 1), ("w", "a", 5), ("w", "b", 6)
    )
    moments = moments_of(PAST, events, ITEMS)
    assert list(zip(moments.user_id, moments.number, strict=True)) == [("u", 1), ("u", 2), ("w", 1)]
    assert cells(moments, "truth_SI") == [{"c"}, {"d"}, {"b"}]
    assert cells(moments, "seen_SI") == [{"a", "b"}, {"a", "b", "c"}, {"a"}]
    assert moments.truth_SI.max() == moments.seen_SI.max() == 1
    assert list(moments.events["moment"]) == [0, 1, 1, 2, 0, 0, 1]


def test_events_of_one_time_are_one_moment_and_none_is_told_by_another() -> None:
    moments = moments_of(PAST, day(("u", "b", 1), ("u", "c", 1), ("v", "a", 1), ("v", "c", 2), ("v", "d", 2)), ITEMS)
    assert (moments.user_id, moments.number) == (["v"], [1])
    assert cells(moments, "truth_SI") == [{"c", "d"}]
    assert cells(moments, "seen_SI") == [{"a", "b"}]


def test_known_and_unknown_items_are_not_judged_but_count_as_earlier_events() -> None:
    moments = moments_of(PAST, day(("u", "nowhere", 1), ("u", "a", 2), ("u", "nowhere", 3), ("u", "c", 4)), ITEMS)
    assert (moments.user_id, moments.number, cells(moments, "truth_SI")) == (["u"], [3], [{"c"}])
    assert not moments_of(PAST, day(("u", "a", 1)), ITEMS).user_id


def test_lists_leave_out_what_was_met_and_a_missing_vector_is_not_judged() -> None:
    reader = LightModel(torch.eye(4), torch.zeros(4), torch.zeros(()), torch.zeros(4), 1.0, 0.1)
    moments = moments_of(PAST, day(("u", "b", 1), ("u", "c", 2), ("v", "a", 1), ("v", "d", 2)), ITEMS)
    vectors = np.array([[9, 8, 1, 2], [np.nan] * 4], np.float32)
    # of u's items a and b are met, so that d comes first and c second
    found = score_moments(reader, vectors, np.eye(4, dtype=np.float32), moments)
    np.testing.assert_allclose(found["NDCG@20"], [1 / np.log2(3), np.nan])
    np.testing.assert_allclose(found["recall@20"], [1, np.nan])


def test_a_day_is_known_between_observed_times_of_it() -> None:
    log = pd.DataFrame(
        {
            "user_id": [1, 1, 1, 1, 1, 2],
            "position": [0, 1, 2, 3, 4, 0],
            "occurred_at": [5, 9, 20, 86_401, 86_402, 7],
            "exact": [1, 0, 1, 0, 1, 0],
        }
    )
    # 9 lies between 5 and 20 of the same day; 86,401 may have been on either; nothing is known of user 2
    assert known_days(log).tolist() == [True, True, True, False, True, False]
    assert known_days(log.iloc[::-1]).tolist() == [False, True, False, True, True, True]
    assert known_days(log.drop(columns="exact")).all()


def test_the_last_days_in_a_row_with_enough_returning_users_are_taken() -> None:
    active = {2: "ab", 3: "ab", 4: "a", 6: "ab", 7: "abc", 9: "ab"}
    log = pd.DataFrame(
        [(user, number * 86_400 + at) for number, users in active.items() for user in users for at in (0, 60)]
        + [("c", 9 * 86_400), ("c", 9 * 86_400)],  # at one time: nothing comes after anything
        columns=["user_id", "occurred_at"],
    )
    assert first_met(log).to_dict() == {"a": 2, "b": 2, "c": 7}
    assert dense_days(log, 2, 2) == [6, 7]
    assert dense_days(log, 1, 3) == [7]
    with pytest.raises(AttuneError, match=r"expected 3 days in a row with 2 users .* found at most 3 on a day"):
        dense_days(log, 3, 2)
