"""Add the columns that suites check in place of lists and vectors, which Great Expectations cannot look into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.contracts.columns import ACTIVITY_WINDOWS_DAYS, EVENT_TYPES, MODALITIES, TASTE_WINDOWS_DAYS

DAY_PARTS = ("share_night_180d", "share_morning_180d", "share_afternoon_180d", "share_evening_180d")
DAY_PART_SUM = "share_of_day_180d"
HISTORY_LISTS = ("history_item_ids", "history_occurred_at", "history_event_types")


NULL_COLUMN = "column_with_null"
"""Per row, the first column that holds a null, or nothing: one check for all columns of a wide table."""
FALLING_COUNT = "falling_count"
"""Per row, the first count that is smaller over a wider window than over a narrower one, or nothing."""


def width_of(column: str) -> str:
    """Name the derived column that holds each vector's or list's length."""
    return f"{column}_length"


def norm_of(column: str) -> str:
    """Name the derived column that holds each vector's L2 norm; -1 where it is not finite."""
    return f"{column}_norm"


def with_vector_columns(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the frame with length and norm in place of each vector column.

    Args:
        frame: One row per vector; a cell is a sequence of floats or null.
        columns: Vector columns; absent ones are left to the suite's column check.
    """
    out = frame.drop(columns=[name for name in columns if name in frame])
    for name in columns:
        if name in frame:
            lengths, norms = _lengths_and_norms(frame[name])
            out[width_of(name)], out[norm_of(name)] = lengths, norms
    return out


def with_history_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return user histories with lengths, order and last time in place of the three lists."""
    out = frame.drop(columns=[name for name in HISTORY_LISTS if name in frame])
    for name in HISTORY_LISTS:
        if name in frame:
            out[width_of(name)] = [0 if cell is None else len(cell) for cell in frame[name]]
    if "history_occurred_at" in frame:
        times = [np.asarray(cell, dtype="datetime64[us]") for cell in map(_naive, frame["history_occurred_at"])]
        out["is_oldest_first"] = [bool((np.diff(row) >= np.timedelta64(0, "us")).all()) for row in times]
        last = pd.Series([row.max() if len(row) else np.datetime64("NaT") for row in times], dtype="datetime64[us]")
        out["last_occurred_at"] = (
            last.dt.tz_localize("UTC").to_numpy() if last.empty else last.dt.tz_localize("UTC").array
        )
    return out


def with_null_column(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the name of the first column that is null, per row; "" where none is."""
    return frame.assign(**{NULL_COLUMN: _first(frame.isna().to_numpy(), list(frame.columns))})


def with_activity_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return user activity with the sum of the shares of the day, and with the first count that falls."""
    out = frame
    if set(DAY_PARTS) <= set(frame):
        out = out.assign(**{DAY_PART_SUM: frame[list(DAY_PARTS)].sum(axis=1).round(3)})
    kinds = (*EVENT_TYPES, "active_days")
    pairs = [(f"count_{k}_{a}d", f"count_{k}_{b}d") for k in kinds for a, b in pairwise(ACTIVITY_WINDOWS_DAYS)]
    if {name for pair in pairs for name in pair} <= set(frame):
        falls = np.column_stack([(frame[wide] < frame[narrow]).to_numpy() for narrow, wide in pairs])
        out = out.assign(**{FALLING_COUNT: _first(falls, [f"{wide} below {narrow}" for narrow, wide in pairs])})
    return out


def _first(marks: NDArray[np.bool_], names: Sequence[str]) -> list[str]:
    """Per row, the name of the first marked column, or nothing."""
    labels = np.array([*names, ""], dtype=object)
    where = np.where(marks.any(axis=1), marks.argmax(axis=1), len(names)) if len(names) else np.zeros(len(marks), int)
    return list(labels[where])


def with_taste_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return pooled tastes with length and norm in place of each vector."""
    return with_vector_columns(frame, [f"taste_{m}_{w}" for m in MODALITIES for w in TASTE_WINDOWS_DAYS])


def with_onboarding_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return pooled onboarding picks with length and norm in place of each vector."""
    return with_vector_columns(frame, [f"onboarding_{m}" for m in MODALITIES])


def with_embedding_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return embeddings with length and norm in place of the vector."""
    return with_vector_columns(frame, ["vector"])


def with_finite_count(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a training set with the number of values per row that are not finite, vectors included.

    Other list columns are left out: their content is checked where the feature tables are.
    """
    bad = np.zeros(len(frame), dtype=np.int64)
    kept = []
    for name in frame:
        cells = frame[name]
        if isinstance(cells.dtype, pd.ArrowDtype):
            bad += _num_not_finite_each(cells)
        elif cells.dtype != object:
            kept.append(name)
            bad += (~np.isfinite(cells.to_numpy(np.float64))).astype(np.int64) if cells.dtype.kind == "f" else 0
        elif len(cells) and isinstance(cells.iloc[0], (np.ndarray, list)):
            bad += np.array([_num_not_finite(cell) for cell in cells], dtype=np.int64)
        else:
            kept.append(name)
    return with_null_column(frame[kept]).assign(count_not_finite=bad)


def _snapshot(derive: Callable[[pd.DataFrame], pd.DataFrame] | None = None) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: (derive or (lambda same: same))(frame).pipe(_with_nulls_of, frame)


def _with_nulls_of(derived: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    return derived.assign(**{NULL_COLUMN: with_null_column(frame)[NULL_COLUMN].to_numpy()})


PREPARE: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "user_profile": _snapshot(),
    "item_profile": _snapshot(),
    "item_popularity": _snapshot(),
    "user_activity": _snapshot(with_activity_columns),
    "user_history": _snapshot(with_history_columns),
    "user_taste": _snapshot(with_taste_columns),
    "user_onboarding": _snapshot(with_onboarding_columns),
    "training_set": with_finite_count,
    "vectors": with_embedding_columns,
}
"""What to derive before a suite looks; suites not named look at the frame as it is."""


def _lengths_and_norms(cells: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    lengths = np.array([0 if cell is None else len(cell) for cell in cells], dtype=np.int64)
    if len(cells) and lengths.min() == lengths.max() > 0:
        norms = np.linalg.norm(np.stack(cells.to_list()).astype(np.float64), axis=1)
    else:
        norms = np.array([np.linalg.norm(np.asarray(cell or [], np.float64)) for cell in map(_as_list, cells)])
    return lengths, np.where(np.isfinite(norms), norms, -1.0)


def _as_list(cell: object) -> list[float]:
    return [] if cell is None else list(cell)  # type: ignore[call-overload]


def _naive(cell: object) -> list[np.datetime64]:
    if cell is None:
        return []
    if isinstance(cell, np.ndarray) and cell.dtype.kind == "M":  # how Parquet lists arrive: UTC without saying so
        return list(cell)
    return [pd.Timestamp(stamp).tz_convert("UTC").to_datetime64() for stamp in cell]  # type: ignore[attr-defined]


def _num_not_finite(cell: object) -> int:
    values = np.asarray(cell)
    return int((~np.isfinite(values)).sum()) if values.dtype.kind == "f" else 0


def _num_not_finite_each(vectors: pd.Series) -> NDArray[np.int64]:
    """Return the number of values that are not finite in each list of an Arrow column; a null list has none."""
    lists = pa.array(vectors)
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    bad = ~np.asarray(pc.fill_null(pc.is_finite(pc.list_flatten(lists)), False))
    return np.bincount(np.asarray(pc.list_parent_indices(lists))[bad], minlength=len(lists)).astype(np.int64)
