"""Ids are packed, found and ranked exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_export.packed import find_rows, pack_ids, pair_scores, top_rows, unpack_ids
from training.contracts.errors import ContractViolation

IDS = st.sets(st.text(min_size=1, max_size=12).filter(lambda text: not text.endswith("\0") and text.isprintable()))


@given(ids=IDS)
def test_every_packed_id_is_found_and_comes_back(ids: set[str]) -> None:
    ordered = sorted(ids)
    packed = pack_ids(ordered)
    assert unpack_ids(packed) == ordered
    assert find_rows(packed, ordered).tolist() == list(range(len(ordered)))


@given(ids=IDS, asked=st.text(max_size=20).filter(str.isprintable))
def test_an_id_is_found_only_if_it_is_there(ids: set[str], asked: str) -> None:
    ordered = sorted(ids)
    expected = ordered.index(asked) if asked in ordered else -1
    assert find_rows(pack_ids(ordered), [asked]).tolist() == [expected]


def test_an_id_longer_than_any_is_unknown_and_not_cut() -> None:
    assert find_rows(pack_ids(["u1", "u2"]), ["u11", "u2", "u"]).tolist() == [-1, 1, -1]


def test_an_id_with_a_nul_at_its_end_is_not_the_shorter_one() -> None:
    assert find_rows(pack_ids(["u1", "u22"]), ["u1\0", "u22\0", "u1\0\0", "u1"]).tolist() == [-1, -1, -1, 0]


def test_nothing_packed_and_nothing_asked() -> None:
    assert find_rows(pack_ids([]), ["u1"]).tolist() == [-1]
    assert find_rows(pack_ids(["u1"]), []).tolist() == []


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["b", "a"], "'a' after 'b'"),
        (["a", "a"], "'a' after 'a'"),
        ([""], "expected a user_id of text"),
        (["a\0"], "expected a user_id of text"),
    ],
)
def test_ids_that_cannot_be_searched_are_refused(ids: list[str], message: str) -> None:
    with pytest.raises(ContractViolation, match=message):
        pack_ids(ids)


@given(st.lists(st.integers(-3, 3), max_size=30), st.integers(1, 40))
def test_top_rows_equals_a_stable_full_sort(values: list[int], k: int) -> None:
    scores = np.array(values, dtype=np.float32)
    assert top_rows(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


def test_top_rows_leaves_out_what_was_ruled_out() -> None:
    scores = np.array([1.0, -np.inf, 3.0], dtype=np.float32)
    assert top_rows(scores, 3).tolist() == [2, 0]


def test_the_best_of_several_vectors_is_the_score_of_a_pair_whichever_side_has_them() -> None:
    several = np.array([[[1, 0], [0, 1]], [[-1, 0], [0, -2]]], dtype=np.float32)
    single = np.array([[3, 5], [2, -4], [1, 1]], dtype=np.float32)
    expected = [[5, 2, 1], [-3, 8, -1]]
    assert pair_scores(several, single).tolist() == expected
    assert pair_scores(single, several).T.tolist() == expected
    assert pair_scores(several[:, 0], single).tolist() == [[3, 2, 1], [-3, -2, -1]]


def test_no_queries_or_answers_give_no_scores() -> None:
    several, single = np.zeros((2, 3, 4), np.float32), np.zeros((0, 4), np.float32)
    assert pair_scores(several, single).shape == (2, 0)
    assert pair_scores(single, several).shape == (0, 2)


def test_half_a_character_is_unknown_and_never_packed() -> None:
    assert find_rows(pack_ids(["a", "é"]), ["a", "\ud83d", "é\udfff"]).tolist() == [0, -1, -1]
    with pytest.raises(ContractViolation, match=r"half a character in '\\ud83d'"):
        pack_ids(["a", "\ud83d"])
