from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from training.validation import derived


def test_vectors_become_lengths_and_norms() -> None:
    cells = [np.array([3.0, 4.0]), np.array([np.nan, 1.0]), None]
    out = derived.with_vector_columns(pd.DataFrame({"user_id": ["a", "b", "c"], "v": cells}), ["v", "absent"])
    assert list(out) == ["user_id", "v_length", "v_norm"]
    assert out["v_length"].tolist() == [2, 2, 0]
    assert out["v_norm"].tolist() == [5.0, -1.0, 0.0]


def test_the_first_null_column_is_named() -> None:
    frame = pd.DataFrame({"a": [1, None, 1], "b": ["x", None, None]})
    assert derived.with_null_column(frame)[derived.NULL_COLUMN].tolist() == ["", "a", "b"]
    assert derived.with_null_column(frame.iloc[:0])[derived.NULL_COLUMN].tolist() == []


def test_histories_are_measured_and_their_order_is_seen() -> None:
    early, late = pd.Timestamp("2026-11-01T00Z"), pd.Timestamp("2026-11-02T00Z")
    frame = pd.DataFrame(
        {
            "history_item_ids": [["i", "j"], ["i", "j"], []],
            "history_occurred_at": [[early, late], [late, early], []],
            "history_event_types": [["view"] * 2, ["view"], []],
        }
    )
    out = derived.with_history_columns(frame)
    assert out["is_oldest_first"].tolist() == [True, False, True]
    assert out["history_event_types_length"].tolist() == [2, 1, 0]
    assert out["last_occurred_at"].tolist()[:2] == [late, late]
    assert out["last_occurred_at"].isna().tolist() == [False, False, True]


def test_values_that_are_not_finite_are_counted_in_numbers_and_vectors() -> None:
    frame = pd.DataFrame({"x": [1.0, np.inf], "n": [1, 2], "v": [np.array([0.0, np.nan]), np.array([0.0, 1.0])]})
    out = derived.with_finite_count(frame)
    assert out["count_not_finite"].tolist() == [1, 1]
    assert "v" not in out


def test_values_that_are_not_finite_are_counted_in_arrow_vectors() -> None:
    rows = [[0.0, np.nan], [0.0, 1.0], None, [np.inf, -np.inf]]
    frame = pd.DataFrame({"x": [1.0] * 4, "v": pd.Series(rows, dtype=pd.ArrowDtype(pa.list_(pa.float32())))})
    out = derived.with_finite_count(frame.iloc[::-1])
    assert out["count_not_finite"].tolist() == [2, 0, 0, 1]
    assert "v" not in out
