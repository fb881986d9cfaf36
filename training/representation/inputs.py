"""Assemble x_u, one scaled input row per user, from the columns of the feature service.

Scalers and vocabularies are learned on training rows and saved with the space; encoding never refits them.

The mean of a user's n item vectors has a large variance where n is small. It is shrunk towards everyone's mean by the
factor n / (n + k), with k the variance of items within a user over that of tastes between users (Buhlmann 1967,
"Experience rating and credibility"; what empirical Bayes does).

Shape legend: U users, F input columns, K blocks, D item vector width.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from training.arrays import Doubles, Floats, Mask
from training.contracts.columns import ACTIVITY_WINDOWS_DAYS, EVENT_TYPES, MODALITIES, TASTE_WINDOWS_DAYS
from training.contracts.errors import ContractViolation
from training.data.input_layout import Block, InputLayout
from training.data.vector_columns import stack_vectors

STATIC_COLUMNS = ("country", "language", "age_band", "gender", "occupation")
UNKNOWN = "unknown"
FEATURE_SERVICE = "user_encoder_v1"
_PLAIN_COLUMNS = (
    "category_entropy_180d",
    "share_night_180d",
    "share_morning_180d",
    "share_afternoon_180d",
    "share_evening_180d",
    "share_weekend_180d",
)
_LOG_COLUMNS = (
    *(f"count_{event}_{days}d" for days in ACTIVITY_WINDOWS_DAYS for event in EVENT_TYPES),
    *(f"count_active_days_{days}d" for days in ACTIVITY_WINDOWS_DAYS),
    "count_events_all",
    "recency_days",
    "count_items_180d",
    "count_categories_180d",
    "count_sessions_30d",
    "session_length_mean_30d",
    "tenure_days",
)
ACTIVITY_COLUMNS = (*_LOG_COLUMNS, *_PLAIN_COLUMNS)
_ACTIVITY = "activity"
ACTIVITY_SPREAD = 2.0
"""What the deviation of an activity column counts as: forty columns say few things, and would drown taste otherwise."""
MAX_PRIOR_EVENTS = 50.0
"""What k is at most: tastes that are hardly told apart would otherwise leave nothing of anybody's."""
COUNT_COLUMNS = (*(f"count_taste_{window}" for window in TASTE_WINDOWS_DAYS), "count_onboarding")
VECTOR_COLUMNS = (
    *(f"taste_{modality}_{window}" for window in TASTE_WINDOWS_DAYS for modality in MODALITIES),
    *(f"onboarding_{modality}" for modality in MODALITIES),
)


@dataclass(frozen=True, kw_only=True)
class InputConfig:
    """How columns are scaled.

    Attributes:
        vector_scaling: "block" divides a pooled vector by one figure, which keeps the weight of its leading
            directions; "column" gives every direction unit variance.
        max_values: Most frequent values of a static attribute that get a column; others count as unknown.
        min_count: Training rows that a static value needs.
    """

    vector_scaling: str = "block"
    max_values: int = 50
    min_count: int = 5


@dataclass(frozen=True)
class InputColumns:
    """The columns that inputs are assembled from, as arrays: what a frame holds, or whoever has no frame.

    Attributes:
        vectors: float32 [U, D] by name: pooled taste, and the onboarding picks.
        counts: float64 [U] by name: the events behind them, and the picks.
        statics: Values [U] by static column; `unknown` where there is none.
        activity_UA: float64 [U, A], `ACTIVITY_COLUMNS`, no NaN.
    """

    vectors: Mapping[str, Floats]
    counts: Mapping[str, Doubles]
    statics: Mapping[str, Sequence[str]]
    activity_UA: Doubles

    @classmethod
    def of(cls, frame: pd.DataFrame) -> InputColumns:
        """Return the columns of a frame of the feature service."""
        return cls(
            vectors={name: stack_vectors(frame[name]) for name in VECTOR_COLUMNS},
            counts={name: frame[name].to_numpy(np.float64) for name in COUNT_COLUMNS},
            statics={name: frame[name].fillna(UNKNOWN).tolist() for name in STATIC_COLUMNS if name in frame},
            activity_UA=frame[list(ACTIVITY_COLUMNS)].fillna(0).to_numpy(np.float64),
        )

    def __len__(self) -> int:
        return len(self.activity_UA)


@dataclass(frozen=True)
class InputAssembler:
    """Fitted scaling.

    Attributes:
        layout: Columns of the blocks.
        vocabularies: Values of each static attribute in column order, `unknown` first.
        centre: float32 [F], subtracted.
        scale: float32 [F], divided by.
        prior_events: float32 [K], k: events that everyone's mean counts as in a pooled vector; 0 in other blocks.
    """

    layout: InputLayout
    vocabularies: Mapping[str, tuple[str, ...]]
    centre: Floats
    scale: Floats
    prior_events: Floats

    @classmethod
    def fit(cls, frame: pd.DataFrame, config: InputConfig) -> InputAssembler:
        """Return the assembler whose statistics are those of the training rows `frame`."""
        vocabularies = {name: _vocabulary(frame[name], config) for name in STATIC_COLUMNS}
        kept = {name: values for name, values in vocabularies.items() if len(values) > 1}
        columns = InputColumns.of(frame)
        raw_UF, blocks = _raw_inputs(columns, kept)
        counts_UK = _counts(columns, blocks)
        centre, scale = np.zeros(raw_UF.shape[1]), np.ones(raw_UF.shape[1])
        prior_events = np.zeros(len(blocks))
        for index, block in enumerate(blocks):
            seen = counts_UK[:, index] > 0
            rows, counts = raw_UF[seen, block.columns].astype(np.float64), counts_UK[seen, index]
            prior_events[index] = _prior_events(rows, counts) if block.kind == "vector" else 0.0
            shrinkage = _shrinkage(counts, prior_events[index])
            centre[block.columns], scale[block.columns] = _statistics(rows, shrinkage, block, config)
        layout = InputLayout(blocks, tuple(_absent_values(blocks, centre, scale)))
        learned = (values.astype(np.float32) for values in (centre, scale, prior_events))
        return cls(layout, kept, *learned)

    def transform(self, frame: pd.DataFrame) -> tuple[Floats, Mask]:
        """Return x, float32 [U, F], and which blocks each user has, bool [U, K].

        Raises:
            ContractViolation: Pooled vectors are of another width than those that the space was trained on.
        """
        return self.transform_columns(InputColumns.of(frame))

    def transform_columns(self, columns: InputColumns) -> tuple[Floats, Mask]:
        """Return what `transform` returns, of columns that are arrays already.

        Raises:
            ContractViolation: Pooled vectors are of another width than those that the space was trained on.
        """
        x_UF, blocks = _raw_inputs(columns, self.vocabularies)
        if blocks != self.layout.blocks:
            raise ContractViolation(
                f"expected {self.layout.num_columns} input columns, found {x_UF.shape[1]}; "
                "pool taste in the item space that this space was trained on"
            )
        counts_UK = _counts(columns, blocks)
        x_UF -= self.centre
        x_UF /= self.scale
        for index, block in enumerate(blocks):
            if block.kind == "vector":
                x_UF[:, block.columns] *= _shrinkage(counts_UK[:, index], self.prior_events[index])[:, None]
        return np.ascontiguousarray(x_UF, np.float32), counts_UK > 0

    def save(self, folder: Path) -> None:
        """Write the assembler as `inputs.json` and `inputs.npz`."""
        values = {"layout": self.layout.to_dict(), "vocabularies": {k: list(v) for k, v in self.vocabularies.items()}}
        (folder / "inputs.json").write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        np.savez(folder / "inputs.npz", centre=self.centre, scale=self.scale, prior_events=self.prior_events)

    @classmethod
    def load(cls, folder: Path) -> InputAssembler:
        """Return the assembler that `save` wrote."""
        values = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
        with np.load(folder / "inputs.npz") as arrays:
            learned = [arrays[name] for name in ("centre", "scale", "prior_events")]
        vocabularies = {name: tuple(known) for name, known in values["vocabularies"].items()}
        return cls(InputLayout.from_dict(values["layout"]), vocabularies, *learned)


def _raw_inputs(given: InputColumns, vocabularies: Mapping[str, tuple[str, ...]]) -> tuple[Floats, tuple[Block, ...]]:
    """Return unscaled columns [U, F] and the blocks that tile them."""
    parts: list[tuple[str, str, tuple[str, ...], Floats]] = []
    for name in VECTOR_COLUMNS:
        parts.append((name, "vector", _vector_groups(name), given.vectors[name]))
    parts += [_presence(name, given.counts[name]) for name in COUNT_COLUMNS]
    for name, values in sorted(vocabularies.items()):
        parts.append((name, "one_hot", ("demographics",), _one_hot(given.statics[name], values)))
    parts.append((_ACTIVITY, "dense", ("activity", "behaviour"), _activity(given.activity_UA)))
    stops = np.cumsum([columns.shape[1] for *_, columns in parts])
    blocks = tuple(
        Block(name, kind, int(stop) - columns.shape[1], int(stop), groups)
        for (name, kind, groups, columns), stop in zip(parts, stops, strict=True)
    )
    return np.hstack([columns for *_, columns in parts]), blocks


def _vector_groups(name: str) -> tuple[str, ...]:
    if name.startswith("onboarding_"):
        return ("onboarding",)
    modality, _, window = name.removeprefix("taste_").rpartition("_")
    return f"window_{window}", f"modality_{modality}", "behaviour"


def _presence(name: str, counts: Doubles) -> tuple[str, str, tuple[str, ...], Floats]:
    """Return a presence bit and log1p(count); they vanish together with the vectors that they describe."""
    window = name.removeprefix("count_taste_")
    groups = ("onboarding",) if name == "count_onboarding" else (f"window_{window}", "behaviour")
    return name, "dense", groups, np.stack([counts > 0, np.log1p(counts)], axis=1).astype(np.float32)


def _one_hot(column: Sequence[str], values: tuple[str, ...]) -> Floats:
    places = {value: place for place, value in enumerate(values)}
    index = [places.get(value, 0) for value in column]
    return np.eye(len(values), dtype=np.float32)[index]


def _activity(activity_UA: Doubles) -> Floats:
    num_logs = len(_LOG_COLUMNS)
    logs = np.log1p(activity_UA[:, :num_logs].clip(min=0))
    return np.hstack([logs, activity_UA[:, num_logs:]]).astype(np.float32)


def _vocabulary(column: pd.Series, config: InputConfig) -> tuple[str, ...]:
    counts = column[column != UNKNOWN].dropna().value_counts()
    frequent = sorted(counts[counts >= config.min_count].items(), key=lambda pair: (-pair[1], str(pair[0])))
    return (UNKNOWN, *sorted(str(value) for value, _ in frequent[: config.max_values]))


def _counts(given: InputColumns, blocks: tuple[Block, ...]) -> Doubles:
    """Return the events behind each pooled vector, float64 [U, K]; 1 in the other blocks, which are always there."""
    counts = np.ones((len(given), len(blocks)))
    for index, block in enumerate(blocks):
        if block.name.startswith("taste_"):
            counts[:, index] = given.counts[f"count_taste_{block.name.rsplit('_', 1)[1]}"]
        elif block.name.startswith("onboarding_"):
            counts[:, index] = given.counts["count_onboarding"]
    return counts


def _shrinkage(counts: Doubles, prior_events: float) -> Doubles:
    """Return n / (n + k); 0 without events."""
    return np.asarray(counts / np.maximum(counts + prior_events, 1e-9), np.float64)


def _prior_events(rows: Doubles, counts: Doubles) -> float:
    """Return k of means float64 [n, D] over `counts` events: the least-squares line of squared distance on 1 / count.

    Its value at no noise is the variance between users, its slope the variance within them. Users who all have the
    same count tell nothing of k, and k is 0.
    """
    if len(np.unique(counts)) < 2:
        return 0.0
    distance = np.square(rows - rows.mean(axis=0)).sum(axis=1)
    within, between = np.polyfit(1 / counts, distance, 1)
    if within <= 0:
        return 0.0
    return float(min(within / between, MAX_PRIOR_EVENTS)) if between > 0 else MAX_PRIOR_EVENTS


def _statistics(rows: Doubles, shrinkage: Doubles, block: Block, config: InputConfig) -> tuple[Doubles, Doubles]:
    """Return what is subtracted and what is divided by, one value per column of the block."""
    width = block.stop - block.start
    if len(rows) == 0 or block.kind == "one_hot":
        return np.zeros(width), np.ones(width)
    if block.name in COUNT_COLUMNS:
        return np.zeros(width), np.array([1.0, max(float(rows[:, 1].std()), 1e-3)])
    centre = np.average(rows, axis=0, weights=shrinkage)
    deviation = np.sqrt(np.square((rows - centre) * shrinkage[:, None]).mean(axis=0))
    if block.name == _ACTIVITY:
        deviation = deviation * ACTIVITY_SPREAD
    if block.kind == "vector" and config.vector_scaling == "block":
        deviation = np.full(width, np.sqrt(np.square(deviation).mean()))
    return centre, np.where(deviation > 1e-6, deviation, 1.0)


def _absent_values(blocks: tuple[Block, ...], centre: Doubles, scale: Doubles) -> Doubles:
    """Return each column's value for a user of whom nothing is known: no counts, average vectors, unknown values."""
    absent = np.zeros(len(centre))
    for block in blocks:
        if block.kind == "one_hot":
            absent[block.start] = 1.0
        elif block.name == _ACTIVITY:
            absent[block.columns] = -centre[block.columns] / scale[block.columns]
    return absent
