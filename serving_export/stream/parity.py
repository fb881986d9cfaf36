"""Compare what the incremental path made of events with what the batch makes of the same events."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from serving_export.packed import find_rows
from serving_export.snapshot import Snapshot
from serving_export.stream.carry import USERS_AT_ONCE
from serving_export.stream.features import RunningFeatures
from serving_export.stream.running import micros
from serving_export.stream.state import State, ViewKey
from serving_export.stream.view import View
from training.contracts.partitions import Partition
from training.registry.pointer import PublishedSnapshot
from training.settings import Settings

logger = logging.getLogger(__name__)
WORST = 20


@dataclass(frozen=True)
class Parity:
    """How far overlay vectors were from the batch's of the same events.

    Attributes:
        space_id: The space.
        partition: The day whose batch took the events in.
        distances: By user, the length of the difference over that of the batch's vector.
    """

    space_id: str
    partition: str
    distances: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the distribution and the worst cases as JSON values."""
        values = np.array(list(self.distances.values()) or [0.0])
        worst = sorted(self.distances.items(), key=lambda pair: -pair[1])[:WORST]
        about = {name: value for name, value in asdict(self).items() if name != "distances"}
        quantiles = {f"p{q}": round(float(np.percentile(values, q)), 6) for q in (50, 90, 99, 100)}
        listed = [{"user_id": user, "distance": round(value, 6)} for user, value in worst]
        return {**about, "users": len(self.distances), **quantiles, "worst": listed}


def compare(settings: Settings, state: State, before: View, after: ViewKey) -> Parity:
    """Return the distances of every user of whom the batches between two snapshots of a space took something in.

    The incremental path is followed once more from the older batch with just those events, to the newer one's `as_of`.

    Args:
        settings: Where state lives.
        state: A part's events, those that were taken in included.
        before: The older snapshot's view.
        after: The newer one.
    """
    events = state.taken_between(before.key.partition, after.partition)
    taken = state.sign_ups_of(state.signed_up_between(before.key.partition, after.partition))
    users = sorted({*events, *taken})
    entry = PublishedSnapshot(space_id=after.space_id, partition=after.partition, path=after.path)
    snapshot = Snapshot(settings.published_dir, entry)
    as_of = micros(Partition.parse(after.partition).as_of)
    found: dict[str, float] = {}
    for start in range(0, len(users), USERS_AT_ONCE):
        some = users[start : start + USERS_AT_ONCE]
        features = RunningFeatures(before.features.batch)
        features.hold(some, events, taken, as_of)
        rows = before.over(features).rows(state, some)
        places = find_rows(snapshot.user_ids, some)
        for row, place in zip(rows, places.tolist(), strict=True):
            if place >= 0:
                batch = np.asarray(snapshot.vectors[place])
                gap = float(np.linalg.norm(np.frombuffer(row.vector, np.float32) - batch))
                found[row.user_id] = gap / max(float(np.linalg.norm(batch)), 1e-9)
    return Parity(after.space_id, after.partition, found)
