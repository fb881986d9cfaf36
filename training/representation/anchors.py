"""Freeze what is known of some users on one day, so that any later encoder can be asked about the very same rows.

Their interactions are kept too: a later encoder reads another item space, in which their taste is pooled again.

Shape legend: A anchors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.arrays import Floats
from training.contracts.columns import EVENT_TIMESTAMP, USER_ONBOARDING, USER_TASTE
from training.contracts.partitions import Partition
from training.data.feature_store import read_item_features
from training.data.hashed_draw import hashed_draw
from training.data.vector_columns import as_frame, stack_vectors
from training.representation.item_space import load_item_space
from training.representation.item_table import build_item_table
from training.representation.taste import pooled_columns
from training.representation.taste_sums import read_facts, sum_interactions
from training.settings import Settings
from training.storage import write_parquet

_POOLED = {column.name for table in (USER_TASTE, USER_ONBOARDING) for column in table.columns}
_POOLED -= {"user_id", EVENT_TIMESTAMP}
_PICKS = ("onboarding_item_ids", "onboarding_categories")
_ROWS, _EVENTS, _VECTOR = "rows.parquet", "events.parquet", "vector"


@dataclass(frozen=True)
class Anchors:
    """Users as they were known as of one partition.

    Attributes:
        partition: The day.
        rows: Their feature rows without what is pooled in an item space, sorted by `user_id`.
        events: Every interaction of theirs that had arrived: `user_id`, `item_id`, `occurred_at`.
        seed: Seed of the draws.
    """

    partition: Partition
    rows: pa.Table
    events: pa.Table
    seed: int

    @classmethod
    def draw(cls, settings: Settings, partition: Partition, frame: pd.DataFrame) -> Anchors:
        """Return `frame_num_anchors` users with history, drawn by the hash of their ids; all where there are fewer.

        Args:
            settings: Home, number and seed.
            partition: The day.
            frame: Feature rows of every user as of that day.
        """
        eligible = frame[frame["count_taste_all"] > 0]
        order = np.argsort(hashed_draw(eligible["user_id"], "anchors", settings.seed), kind="stable")
        chosen = eligible.iloc[np.sort(order[: settings.frame_num_anchors])].sort_values("user_id")
        rows = pa.Table.from_pandas(chosen[[c for c in chosen if c not in _POOLED]], preserve_index=False)
        for name in _PICKS:
            picks = rows[name].cast(pa.list_(pa.string()))
            rows = rows.set_column(rows.schema.get_field_index(name), name, picks)
        facts = read_facts(settings, None, partition)
        events = facts.filter(pc.is_in(facts["user_id"], value_set=rows["user_id"].combine_chunks()))
        return cls(partition, rows.replace_schema_metadata(None), events, settings.seed)

    @property
    def user_ids(self) -> list[str]:
        """External ids, sorted."""
        ids: list[str] = self.rows["user_id"].to_pylist()
        return ids

    @property
    def judging(self) -> npt.NDArray[np.bool_]:
        """Which anchors judge a map, bool [A]; the others are those that it is learned from."""
        return np.asarray(hashed_draw(self.user_ids, "judging anchors", self.seed) < 0.5, np.bool_)

    def pooled_in(self, settings: Settings, item_space_id: str, until: Partition) -> pd.DataFrame:
        """Return the anchors' rows as an encoder of an item space reads them, taste and picks pooled in it.

        Args:
            settings: Home.
            item_space_id: The item space.
            until: The day whose item profile is read: items that the item space does not hold get content vectors.
        """
        table = build_item_table(load_item_space(settings, item_space_id), read_item_features(settings, until))
        sums = sum_interactions(self.events, self.partition, table)
        picks = self.rows.select(["user_id", *_PICKS]).combine_chunks()
        rows = self.rows
        for columns in pooled_columns(picks, sums, table):
            for name, values in columns.items():
                rows = rows.append_column(name, values)
        return as_frame(rows).assign(item_space_id=item_space_id)

    def without(self, user_ids: Iterable[str]) -> tuple[Anchors, npt.NDArray[np.bool_]]:
        """Return the anchors but for some users, and which of these are left, bool [A]."""
        gone = pa.array(sorted(user_ids), pa.string())
        kept = pc.invert(pc.is_in(self.rows["user_id"], value_set=gone))
        events = self.events.filter(pc.invert(pc.is_in(self.events["user_id"], value_set=gone)))
        return Anchors(self.partition, self.rows.filter(kept), events, self.seed), np.asarray(kept)

    def save(self, folder: Path, vectors_AZ: Floats) -> None:
        """Write the anchors into `folder`, each with its vector: whoever is taken out goes with it in one step."""
        offsets = pa.array(np.arange(len(vectors_AZ) + 1, dtype=np.int32) * vectors_AZ.shape[1])
        vectors = pa.ListArray.from_arrays(offsets, pa.array(vectors_AZ.ravel(), pa.float32()))
        write_parquet(self.events, folder / _EVENTS)
        write_parquet(self.rows.append_column(_VECTOR, vectors), folder / _ROWS)

    @classmethod
    def load(cls, folder: Path, partition: Partition, seed: int) -> tuple[Anchors, Floats]:
        """Return the anchors that `save` wrote, and their vectors, float32 [A, Z]."""
        rows, events = (pq.read_table(folder / name, partitioning=None) for name in (_ROWS, _EVENTS))
        vectors_AZ = stack_vectors(as_frame(rows.select([_VECTOR]))[_VECTOR])
        return cls(partition, rows.drop_columns([_VECTOR]), events, seed), vectors_AZ
