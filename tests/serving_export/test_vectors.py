"""What is to be published fits together, or is refused before a byte is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from serving_export.packed import pack_ids, unpack_ids
from serving_export.vectors import ConsumerVectors, SpaceVectors, check_space, check_vectors
from tests.serving_export.world import DAY1
from training.contracts.artefacts import ModelRef
from training.contracts.errors import ContractViolation, SpaceMismatch

SPACE = "20261101-aaaaaaaa"
MODEL = ModelRef(consumer="matching", version="v1", space_id=SPACE, partition="2026-11-01")


def _consumer() -> ConsumerVectors:
    """Two users, three items; user a has interacted with items x and z, user b item z (twice)."""
    pairs = ([0, 0, 1, 1], [2, 0, 2, 2])
    return ConsumerVectors(
        model=MODEL,
        user_ids=pack_ids(["a", "b"]),
        item_ids=pack_ids(["x", "y", "z"]),
        user_vectors=np.eye(2, dtype=np.float32),
        item_vectors_ID=np.ones((3, 2), dtype=np.float32),
        seen_UI=sparse.csr_array((np.ones(4, bool), pairs), shape=(2, 3)),
    )


def test_vectors_follow_their_ids_into_sorted_order() -> None:
    space = SpaceVectors.of(SPACE, DAY1, ["b", "a"], np.array([[2.0], [1.0]]))
    assert unpack_ids(space.user_ids) == ["a", "b"]
    assert space.vectors_UZ.tolist() == [[1.0], [2.0]]
    assert space.vectors_UZ.dtype == np.float32


def test_a_user_twice_is_refused() -> None:
    with pytest.raises(ContractViolation, match="every user_id once"):
        SpaceVectors.of(SPACE, DAY1, ["a", "a"], np.ones((2, 1)))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused_by_row(broken: float) -> None:
    with pytest.raises(ContractViolation, match="found 1 rows with NaN or infinity, first row 1"):
        check_vectors(np.array([[1.0], [broken]]), 2, "space")


@pytest.mark.parametrize("shape", [(3, 2), (2,)])
def test_a_matrix_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ContractViolation, match="expected a matrix of 2 rows for space, found shape"):
        check_vectors(np.ones(shape), 2, "space")


def test_seen_pairs_are_kept_from_both_sides_once() -> None:
    arrays = _consumer().arrays()
    assert arrays["user_seen_indptr"].tolist() == [0, 2, 3]
    assert arrays["user_seen_indices"].tolist() == [0, 2, 2]
    assert arrays["item_seen_indptr"].tolist() == [0, 1, 1, 3]
    assert arrays["item_seen_indices"].tolist() == [0, 0, 1]


def test_sides_of_different_width_are_refused() -> None:
    with pytest.raises(ContractViolation, match="one width for users and items of matching v1, found 2, 5"):
        replace(_consumer(), item_vectors_ID=np.ones((3, 5), dtype=np.float32))


def test_seen_pairs_of_another_shape_are_refused() -> None:
    with pytest.raises(ContractViolation, match="seen pairs"):
        replace(_consumer(), seen_UI=sparse.csr_array((3, 2), dtype=bool))


def test_a_consumer_of_another_space_is_refused() -> None:
    space = SpaceVectors.of(SPACE, DAY1, ["a", "b"], np.ones((2, 1)))
    check_space(space, [_consumer()])
    with pytest.raises(SpaceMismatch, match="found 20261101-aaaaaaaa at the model matching v1"):
        check_space(replace(space, space_id="20261102-bbbbbbbb"), [_consumer()])


def test_users_may_have_several_vectors_of_the_items_width() -> None:
    several = replace(_consumer(), user_vectors=np.ones((2, 3, 2), np.float32))
    assert (several.num_vectors, _consumer().num_vectors) == (3, 1)
    assert several.arrays()["user_vectors"].shape == (2, 3, 2)
    with pytest.raises(ContractViolation, match="expected a matrix of 6 rows for users of matching v1"):
        replace(several, user_vectors=np.ones((1, 3, 2), np.float32))
    with pytest.raises(ContractViolation, match="found 4, 2"):
        replace(several, user_vectors=np.ones((2, 3, 4), np.float32))
    with pytest.raises(ContractViolation, match="NaN"):
        replace(several, user_vectors=np.full((2, 3, 2), np.nan, np.float32))


def test_imagined_vectors_replace_those_of_users_without_history() -> None:
    space = SpaceVectors.of(SPACE, DAY1, ["b", "a", "c"], np.arange(6, dtype=np.float32).reshape(3, 2))
    imagined = space.imagined(pack_ids(["b", "elsewhere"]), np.full((2, 2), 9, np.float32))
    assert imagined.vectors_UZ.tolist() == [[2, 3], [9, 9], [4, 5]]
    assert imagined.is_virtual is not None
    assert imagined.is_virtual.tolist() == [False, True, False]
    assert space.is_virtual is None
    with pytest.raises(ContractViolation, match="without history"):
        space.imagined(pack_ids(["b"]), np.full((1, 2), np.nan, np.float32))
