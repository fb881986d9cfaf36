"""Name what each boundary of the pipeline expects: raw logs, feature snapshots, training sets, vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import pandas as pd

from training.contracts.columns import (
    ACTIVITY_WINDOWS_DAYS,
    DBT_FEATURES,
    EVENT_TIMESTAMP,
    EVENT_TYPES,
    HISTORY_LENGTH,
    MODALITIES,
    POOLED_FEATURES,
    RAW_INTERACTIONS,
    TASTE_WINDOWS_DAYS,
    Table,
)
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.validation.derived import (
    DAY_PART_SUM,
    DAY_PARTS,
    FALLING_COUNT,
    HISTORY_LISTS,
    NULL_COLUMN,
    norm_of,
    width_of,
)
from training.validation.rules import (
    Rule,
    at_least,
    between,
    columns_are,
    columns_include,
    lengths,
    not_null,
    num_rows,
    one_of,
    unique,
)

_MAX_ID_LENGTH = 512
_MAX_DUPLICATES = 0.5
_MAX_MEAN_OF_UNIT_VECTORS = 1.001
_LISTS = ("strings", "timestamps", "floats")


def rules(suite: str, partition: Partition, facts: Mapping[str, object] | None = None) -> tuple[Rule, ...]:
    """Return what a suite expects of a frame of one partition.

    Args:
        suite: One of `SUITES`.
        partition: Its `as_of` bounds every time.
        facts: What only the caller knows; `SUITES` names them per suite.

    Raises:
        AttuneError: The suite or a fact is unknown.
    """
    if suite not in SUITES:
        raise AttuneError(f"expected a suite among {', '.join(SUITES)}, found {suite!r}")
    build, known = SUITES[suite]
    unknown = sorted(set(facts or {}) - set(known))
    if unknown:
        raise AttuneError(f"suite {suite} knows the facts {', '.join(known) or 'none'}, found {', '.join(unknown)}")
    return tuple(build(partition, **(facts or {})))


def _raw_interactions(partition: Partition) -> list[Rule]:
    required = [column.name for column in RAW_INTERACTIONS.columns if not column.nullable]
    return [
        columns_are(RAW_INTERACTIONS.column_names),
        num_rows(1),
        *(not_null(name) for name in required),
        *(lengths(name, 1, _MAX_ID_LENGTH) for name in ("event_id", "user_id", "item_id")),
        one_of("event_type", EVENT_TYPES),
        between("occurred_at", high=_as_of(partition), below=True),
        unique(["event_id"], mostly=_MAX_DUPLICATES),
    ]


def _snapshot(
    table: Table, partition: Partition, replaced: Sequence[str] = (), derived: Sequence[str] = ()
) -> list[Rule]:
    """What every feature snapshot keeps: its columns, its grain, and one `as_of`."""
    names = [name for name in table.column_names if name not in replaced]
    return [
        columns_are([*names, *derived, NULL_COLUMN]),
        num_rows(1),
        one_of(NULL_COLUMN, [""]),
        unique([name for name in table.key if name != "item_space_id"]),
        one_of(EVENT_TIMESTAMP, [_as_of(partition)]),
    ]


def _user_profile(partition: Partition) -> list[Rule]:
    return [*_snapshot(DBT_FEATURES["user_profile"], partition), between("tenure_days", 0, 36_500)]


def _user_activity(partition: Partition) -> list[Rule]:
    kinds = (*EVENT_TYPES, "active_days")
    shortest = ACTIVITY_WINDOWS_DAYS[0]
    return [
        *_snapshot(DBT_FEATURES["user_activity"], partition, derived=(DAY_PART_SUM, FALLING_COUNT)),
        *(between(f"count_{kind}_{shortest}d", 0) for kind in kinds),
        one_of(FALLING_COUNT, [""]),
        *(between(f"count_active_days_{window}d", high=window) for window in ACTIVITY_WINDOWS_DAYS),
        *(between(share, 0, 1) for share in (*DAY_PARTS, "share_weekend_180d")),
        one_of(DAY_PART_SUM, [0.0, 0.999, 1.0, 1.001]),
        at_least("count_items_180d", "count_categories_180d"),
        between("count_categories_180d", 0),
        between("count_events_all", 0),
        between("category_entropy_180d", 0),
        between("session_length_mean_30d", 0),
        between("count_sessions_30d", 0),
        between("recency_days", 0),
    ]


def _user_history(partition: Partition) -> list[Rule]:
    items, times, kinds = (width_of(name) for name in HISTORY_LISTS)
    derived = (items, times, kinds, "is_oldest_first", "last_occurred_at")
    return [
        *_snapshot(DBT_FEATURES["user_history"], partition, replaced=HISTORY_LISTS, derived=derived),
        between(items, 0, HISTORY_LENGTH),
        *(at_least(a, b) for a, b in ((items, times), (times, items), (items, kinds), (kinds, items))),
        one_of("is_oldest_first", [True]),
        between("last_occurred_at", high=_as_of(partition), below=True),
    ]


def _item_popularity(partition: Partition) -> list[Rule]:
    windows = [f"count_interactions_{window}d" for window in ACTIVITY_WINDOWS_DAYS] + ["count_interactions_all"]
    return [
        *_snapshot(DBT_FEATURES["item_popularity"], partition),
        between(windows[0], 0),
        *(at_least(wide, narrow) for narrow, wide in pairwise(windows)),
        at_least("count_interactions_all", "count_users_all"),
        between("recency_days", 0),
    ]


def _item_profile(partition: Partition) -> list[Rule]:
    return _snapshot(DBT_FEATURES["item_profile"], partition)


def _user_taste(partition: Partition, item_space_id: str | None = None) -> list[Rule]:
    vectors = [f"taste_{m}_{w}" for m in MODALITIES for w in TASTE_WINDOWS_DAYS]
    windows = [f"count_taste_{w}" for w in TASTE_WINDOWS_DAYS]
    return [
        *_pooled("user_taste", vectors, partition, item_space_id),
        between(windows[0], 0),
        *(at_least(wide, narrow) for narrow, wide in pairwise(windows)),
    ]


def _user_onboarding(partition: Partition, item_space_id: str | None = None) -> list[Rule]:
    vectors = [f"onboarding_{m}" for m in MODALITIES]
    return [*_pooled("user_onboarding", vectors, partition, item_space_id), between("count_onboarding", 0)]


def _pooled(name: str, vectors: Sequence[str], partition: Partition, item_space_id: str | None) -> list[Rule]:
    derived = [column(vector) for vector in vectors for column in (width_of, norm_of)]
    same_width = [
        at_least(width_of(a), width_of(b))
        for m in MODALITIES
        for group in ([v for v in vectors if f"_{m}" in v],)
        for a, b in zip(group, [*group[1:], group[0]], strict=True)
        if a != b
    ]
    return [
        *_snapshot(POOLED_FEATURES[name], partition, replaced=vectors, derived=derived),
        *(between(width_of(vector), 1) for vector in vectors),
        *same_width,
        *(between(norm_of(vector), 0, _MAX_MEAN_OF_UNIT_VECTORS) for vector in vectors),
        *([one_of("item_space_id", [item_space_id])] if item_space_id else []),
    ]


def _training_set(
    partition: Partition,
    key: Sequence[str] = ("user_id",),
    columns: Sequence[str] = (),
    num_users: int | None = None,
    min_rows: int = 1,
) -> list[Rule]:
    return [
        num_rows(num_users, num_users) if num_users is not None else num_rows(min_rows),
        columns_include(dict.fromkeys((*key, EVENT_TIMESTAMP, *columns))),
        one_of(NULL_COLUMN, [""]),
        unique(list(key)),
        between(EVENT_TIMESTAMP, high=_as_of(partition)),
        between("count_not_finite", 0, 0),
    ]


def _vectors(
    partition: Partition,
    space_id: str,
    width: int,
    num_users: int | None = None,
    norm_range: tuple[float, float] = (1e-6, 1e3),
) -> list[Rule]:
    return [
        columns_are(("user_id", "space_id", EVENT_TIMESTAMP, width_of("vector"), norm_of("vector"))),
        num_rows(num_users, num_users) if num_users is not None else num_rows(1),
        not_null("user_id"),
        unique(["user_id"]),
        one_of("space_id", [space_id]),
        one_of(EVENT_TIMESTAMP, [_as_of(partition)]),
        one_of(width_of("vector"), [width]),
        between(norm_of("vector"), *norm_range),
    ]


def _as_of(partition: Partition) -> pd.Timestamp:
    return pd.Timestamp(partition.as_of)


SUITES: Mapping[str, tuple[Callable[..., list[Rule]], tuple[str, ...]]] = {
    "raw_interactions": (_raw_interactions, ()),
    "user_profile": (_user_profile, ()),
    "user_activity": (_user_activity, ()),
    "user_history": (_user_history, ()),
    "user_taste": (_user_taste, ("item_space_id",)),
    "user_onboarding": (_user_onboarding, ("item_space_id",)),
    "item_popularity": (_item_popularity, ()),
    "item_profile": (_item_profile, ()),
    "training_set": (_training_set, ("key", "columns", "num_users", "min_rows")),
    "vectors": (_vectors, ("space_id", "width", "num_users", "norm_range")),
}
"""By name: what a suite expects, and the facts that it takes from its caller."""
