"""Read the rows that a user encoder learns from, and the pairs that it is judged on.

Shape legend: U users, I items, P pairs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from training.contracts.columns import DBT_FEATURES, EVENT_TIMESTAMP, USER_ONBOARDING, USER_TASTE
from training.contracts.partitions import Partition
from training.data import warehouse
from training.data.derived_lock import reads_derived
from training.data.feature_store import read_user_features
from training.data.interactions import places_in, read_log
from training.evaluation.probes import PairTask, build_pair_task
from training.representation.inputs import FEATURE_SERVICE
from training.representation.item_space import ItemSpace
from training.representation.taste import pool
from training.settings import Settings
from training.storage import PART, exclusive, list_partitions

logger = logging.getLogger(__name__)
IndexPairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class TrainingRows:
    """Feature rows of one item space, newest snapshot first.

    Attributes:
        frame: One row per (user, snapshot); users of older snapshots may repeat.
        partitions: The snapshots, newest first.
        item_space_id: Whose pooled vectors they hold.
    """

    frame: pd.DataFrame
    partitions: tuple[str, ...]
    item_space_id: str

    def snapshot(self, settings: Settings, partition: Partition, item_space_id: str) -> pd.DataFrame:
        """Return one snapshot, out of these rows where they hold it: reading one takes seconds."""
        if item_space_id == self.item_space_id and str(partition) in self.partitions:
            return self.frame[self.frame[EVENT_TIMESTAMP] == partition.as_of].reset_index(drop=True)
        return read_snapshot(settings, partition, item_space_id)


def read_rows(settings: Settings, partitions: list[Partition], item_space_id: str) -> TrainingRows:
    """Return the rows of several snapshots, point-in-time through the feature service."""
    frames = [read_snapshot(settings, partition, item_space_id) for partition in partitions]
    names = tuple(str(partition) for partition in partitions)
    return TrainingRows(pd.concat(frames, ignore_index=True), names, item_space_id)


def require_rows(settings: Settings, partition: Partition, rows: TrainingRows) -> None:
    """Hold the training set against its expectation suite and leave the data docs.

    Raises:
        ContractViolation: A user twice in a snapshot, a row from after `as_of`, a missing or not finite value.
    """
    from training.validation.runner import require

    # the suite looks at vectors through `count_not_finite`, so they are not among the columns that it can name
    columns = [c.name for table in (USER_TASTE, USER_ONBOARDING) for c in table.columns if c.kind != "floats"]
    require(settings, "training_set", rows.frame, partition, key=("user_id", EVENT_TIMESTAMP), columns=columns)


@reads_derived
def ensure_snapshot(settings: Settings, partition: Partition, item_space_id: str) -> None:
    """Build and export a partition's features where one of them is missing, and pool them in an item space.

    Raises:
        MissingArtefact: There is no such item space.
    """
    paths = [settings.features_dir(table, partition) / PART for table in DBT_FEATURES]
    missing = [path for path in paths if not path.exists()]
    if missing:
        logger.info("features of %s are missing, %s first; building them", partition, missing[0])
        with exclusive(settings.warehouse_lock):
            warehouse.build(settings, partition)
            warehouse.export_features(settings, partition)
    pool(settings, partition, item_space_id)


@reads_derived
def read_snapshot(settings: Settings, partition: Partition, item_space_id: str) -> pd.DataFrame:
    """Return one row per known user as of a partition, sorted by user_id; nothing is built.

    Raises:
        MissingArtefact: Features of the partition are missing, or were not pooled in the item space; the message names
            the job to run.
    """
    frame = read_user_features(settings, partition, FEATURE_SERVICE, item_space_id)
    return frame.assign(item_space_id=item_space_id).sort_values("user_id", ignore_index=True)


def anchor_of(settings: Settings, partition: Partition, horizon_days: int) -> Partition | None:
    """Return the partition `horizon_days` earlier, or None when no interaction had arrived by then."""
    anchor = partition.shift(-horizon_days)
    arrived = list_partitions(settings.home / "features" / "interactions")
    return anchor if arrived and arrived[0] <= anchor else None


def read_pair_task(
    settings: Settings,
    anchor: Partition,
    until: Partition,
    frame: pd.DataFrame,
    items: ItemSpace,
    max_positives: int,
) -> PairTask:
    """Return the task "will u interact with i" over (anchor, until], for users and items known at the anchor.

    User indices are rows of `frame`, item indices rows of `items`.
    """
    past, future = read_pair_sides(settings, anchor, until, frame, items)
    return build_pair_task(past, future, len(items.item_ids), settings.seed, max_positives)


def read_pair_sides(
    settings: Settings, anchor: Partition, until: Partition, frame: pd.DataFrame, items: ItemSpace
) -> tuple[IndexPairs, IndexPairs]:
    """Return the interactions that were known at the anchor, and those of (anchor, until].

    What occurred before the anchor and arrived after it is in neither: it was not known, and is not the future.

    Returns:
        User and item indices of each side, int64[P] each: rows of `frame` and of `items`; strangers are passed over.
    """
    log = read_log(settings, until, ("user_id", "item_id", "occurred_at", "arrived_at"))
    user_idx = places_in(list(frame["user_id"]), log["user_id"])
    item_idx = places_in(items.item_ids, log["item_id"])
    is_known = (user_idx >= 0) & (item_idx >= 0)
    cut = pa.scalar(anchor.as_of)
    has_arrived_later = np.asarray(pc.greater_equal(log["arrived_at"], cut))
    is_later = has_arrived_later & np.asarray(pc.greater_equal(log["occurred_at"], cut))
    past, future = ((user_idx[rows], item_idx[rows]) for rows in (is_known & ~has_arrived_later, is_known & is_later))
    return past, future
