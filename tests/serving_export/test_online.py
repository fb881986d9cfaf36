"""One value under one space id through every door: what Feast serves is what the snapshot holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.online import forget_retired, retired_online, write_online
from serving_export.promote import promote_space
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.contracts.partitions import Partition
from training.data.feature_store import read_online
from training.data.online.guard import record_served
from training.registry.pointer import read_pointer
from training.storage import write_json


def test_what_has_rows_online_and_should_have_none(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    offered = world.train(DAY3).space_id
    for space_id in (first, second, offered, "20261001-aaaaaaaa"):
        record_served(world.settings, "user_embedding", space_id, DAY1)
    for name in ("kept", "pruned"):
        record_served(world.settings, "user_taste", name, DAY1)
    write_json({}, world.settings.home / "features/user_taste/item_space=kept/dt=2026-11-01/part-0.parquet")
    pointer = read_pointer(world.settings.published_dir)
    wanted = {"user_embedding": ["20261001-aaaaaaaa"], "user_taste": ["pruned"]}
    assert retired_online(world.settings, pointer) == wanted


@pytest.mark.integration
def test_feast_serves_the_published_vectors_also_of_users_without_history(world: World) -> None:
    from training.data import feature_store

    feature_store.apply(world.settings)
    world.cold = True
    sources = replace(world.sources, materialise=write_online, forget=forget_retired)
    spaces = []
    for day in (DAY1, DAY2, DAY3):
        spaces.append(world.train(day).space_id)
        assert promote_space(world.settings, day, sources)["pending"] == {}
    users = world.users(DAY3)
    for space_id, day in zip(spaces[1:], (DAY2, DAY3), strict=True):
        rows = [{"user_id": user, "space_id": space_id} for user in world.users(day)]
        online = read_online(world.settings, "matching_v1", rows)
        found = EmbeddingStore(world.settings.published_dir, space_id=space_id).lookup(world.users(day))
        assert found.virtual
        np.testing.assert_array_equal(np.float32(online["vector"].tolist()), found.vectors)
        assert set(online["vector__ts"]) == {int(Partition.parse(found.partition).as_of.timestamp())}
    frame = read_pointer(world.settings.published_dir).frame
    online = read_online(world.settings, "matching_v1", [{"user_id": user, "space_id": frame} for user in users])
    framed = EmbeddingStore(world.settings.published_dir).lookup(users, frame=frame).vectors
    np.testing.assert_array_equal(np.float32(online["vector"].tolist()), framed)
    rows = [{"user_id": user, "space_id": spaces[0]} for user in users]
    assert read_online(world.settings, "matching_v1", rows)["vector"].isna().all()
