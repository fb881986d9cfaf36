"""Columns of vectors stay flat memory from the file to the matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from training.contracts.errors import ContractViolation
from training.data.vector_columns import as_frame, as_lists, is_vectors, stack_vectors

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def frame() -> pd.DataFrame:
    columns = {
        "user_id": pa.array(["a", "b", "c"]),
        "vector": pa.array(ROWS, pa.list_(pa.float32())),
        "picks": pa.array([["x"], [], ["y", "z"]], pa.list_(pa.string())),
    }
    return as_frame(pa.table(columns))


def test_vectors_stay_lists_of_arrow_and_other_columns_become_what_they_were() -> None:
    found = frame()
    assert [name for name in found if is_vectors(found[name])] == ["vector"]
    assert found["user_id"].tolist() == ["a", "b", "c"]
    assert [list(picks) for picks in found["picks"]] == [["x"], [], ["y", "z"]]


def test_stacked_they_follow_the_rows_wherever_those_went() -> None:
    found = frame()
    both = pd.concat([found, found.iloc[:1]], ignore_index=True)
    for rows, expected in (
        (found, ROWS),
        (found.iloc[1:], ROWS[1:]),
        (found.iloc[::-1], ROWS[::-1]),
        (both[both["user_id"] == "a"], [ROWS[0], ROWS[0]]),
    ):
        stacked = stack_vectors(rows["vector"])
        assert stacked.dtype == np.float32
        assert stacked.tolist() == expected
    assert len(stack_vectors(found["vector"].iloc[:0])) == 0


def test_arrays_are_stacked_too() -> None:
    assert stack_vectors(pd.Series([np.array(row) for row in ROWS])).tolist() == ROWS


@pytest.mark.parametrize("rows", [[[1.0], None], [[1.0], [1.0, 2.0]], [[1.0, 2.0, 3.0], [1.0]]])
def test_a_missing_vector_or_one_of_another_width_is_refused(rows: list[list[float] | None]) -> None:
    column = as_frame(pa.table({"taste": pa.array(rows, pa.list_(pa.float32()))}))["taste"]
    with pytest.raises(ContractViolation, match="one vector of one width per row in taste"):
        stack_vectors(column)


@pytest.mark.parametrize("shape", [(3, 2), (0, 2), (2, 0)])
def test_vectors_become_lists_and_come_back(shape):
    vectors = np.random.default_rng(0).normal(size=shape)
    lists = as_lists(vectors[::-1])
    assert lists.type == pa.list_(pa.float32())
    assert lists.to_pylist() == vectors[::-1].astype(np.float32).tolist()
