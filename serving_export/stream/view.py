"""Encode users over one snapshot: the space's encoder on their running features, and cold start for the new ones."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from serving_export.stream.batch import Batch, batch_path
from serving_export.stream.features import RunningFeatures
from serving_export.stream.running import RunningUser
from serving_export.stream.state import Row, State, ViewKey
from training.arrays import Floats
from training.contracts.consumers import FOR_USERS_WITHOUT_HISTORY
from training.contracts.partitions import Partition
from training.registry.pointer import PublishedSnapshot
from training.representation.encoder_file import run_encoder
from training.representation.user_space import UserSpace
from training.settings import Settings

if TYPE_CHECKING:
    from training.consumers.cold_start.model import ColdStartModel


def view_key(entry: PublishedSnapshot) -> ViewKey:
    """Return the view over a published snapshot."""
    ranker = entry.versions.get(FOR_USERS_WITHOUT_HISTORY, "")
    return ViewKey(entry.space_id, entry.partition, entry.path, ranker)


class Views:
    """The snapshots that one worker encodes for; those of one partition and item space share their features."""

    def __init__(self, settings: Settings) -> None:
        """Begin with none open."""
        self._settings = settings
        self._views: dict[ViewKey, View] = {}
        self._features: dict[Path, RunningFeatures] = {}

    def open(self, key: ViewKey) -> View:
        """Return a view, opened once.

        Raises:
            MissingArtefact: The space, the model or the partition's features are gone.
        """
        if key not in self._views:
            space = UserSpace.load(self._settings, key.space_id)
            partition = Partition.parse(key.partition)
            shared = batch_path(self._settings, partition, space.ref.item_space_id)
            if shared not in self._features:
                self._features[shared] = RunningFeatures(Batch(self._settings, partition, space.ref.item_space_id))
            self._views[key] = View(self._settings, key, space, self._features[shared])
        return self._views[key]

    def keep(self, keys: Sequence[ViewKey]) -> None:
        """Close all other views."""
        self._views = {key: view for key, view in self._views.items() if key in keys}
        used = {id(view.features) for view in self._views.values()}
        self._features = {shared: one for shared, one in self._features.items() if id(one) in used}

    def features(self) -> list[RunningFeatures]:
        """Return the features of every open view, each once."""
        return list(self._features.values())


class View:
    """One snapshot's encoder, and its cold-start model where it has one."""

    def __init__(self, settings: Settings, key: ViewKey, space: UserSpace, features: RunningFeatures) -> None:
        """Open the models."""
        self.key, self.space, self.features = key, space, features
        self._cold = _cold_start(settings, key)

    def over(self, features: RunningFeatures) -> View:
        """Return the same models over other features of the same item space."""
        other = copy(self)
        other.features = features
        return other

    def rows(self, state: State, user_ids: Sequence[str]) -> list[Row]:
        """Return users' rows of the overlay, in order."""
        if not user_ids:
            return []
        users = self.features.users(state, user_ids)
        x_UF, _ = self.space.assembler.transform_columns(self.features.inputs(user_ids))
        new = np.array([not user.had_history for user in users])
        bare = np.array([user.num_events == 0 for user in users])
        rankers = self._rankers(users, x_UF, new, bare)
        z_UZ = run_encoder(self.space.session, x_UF)
        is_virtual = bare & (self._cold is not None)
        return [
            Row(
                user_id=user_id,
                newest_at=user.changed_at,
                is_virtual=bool(virtual),
                is_new=bool(is_new),
                vector=z.tobytes(),
                ranker=ranker,
                seen=tuple(dict.fromkeys(user.new_items)) if is_new else (),
            )
            for user_id, user, virtual, is_new, z, ranker in zip(
                user_ids, users, is_virtual, new, z_UZ, rankers, strict=True
            )
        ]

    def _rankers(
        self,
        users: Sequence[RunningUser],
        x_UF: Floats,
        new: npt.NDArray[np.bool_],
        bare: npt.NDArray[np.bool_],
    ) -> list[bytes | None]:
        """Return the cold-start vectors of users without history in the batch; give the bare ones virtual behaviour."""
        found: list[bytes | None] = [None] * len(users)
        rows = np.flatnonzero(new)
        if self._cold is None or not len(rows):
            return found
        from training.consumers.cold_start.assemble import behaviour_columns, data_of_users

        some = [users[row] for row in rows.tolist()]
        profiles = pd.DataFrame([user.profile for user in some])
        data = data_of_users(self._cold, profiles, [user.new_items for user in some], x_UF[rows])
        for row, vector in zip(rows.tolist(), self._cold.user_vectors(data), strict=True):
            found[row] = np.asarray(vector, np.float32).tobytes()
        imagined = np.flatnonzero(bare[rows])
        if len(imagined):
            columns_F = behaviour_columns(self.space)
            virtual = self._cold.virtual_columns(data, imagined)
            x_UF[np.ix_(rows[imagined], np.flatnonzero(columns_F))] = virtual[:, columns_F]
        return found


def _cold_start(settings: Settings, key: ViewKey) -> ColdStartModel | None:
    if not key.ranker:
        return None
    from training.consumers.cold_start.model import ColdStartModel

    return ColdStartModel.load(settings.model_dir(FOR_USERS_WITHOUT_HISTORY, key.ranker))
