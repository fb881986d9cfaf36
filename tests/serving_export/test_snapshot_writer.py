"""Writing a snapshot encodes, validates, then publishes, in that order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving_export.snapshot_writer import Sources, write_snapshot
from serving_export.vectors import SpaceVectors
from tests.serving_export.world import DAY1, World
from training.contracts.consumers import CONSUMERS
from training.contracts.errors import ContractViolation


def test_a_snapshot_carries_the_models_it_was_asked_for(world: World) -> None:
    space = world.train(DAY1)
    models = world.ledger.models("matching")
    entry = write_snapshot(world.settings, world.sources, space.space_id, DAY1, models)
    assert entry.versions == {"matching": models[0].version}
    assert write_snapshot(world.settings, world.sources, space.space_id, DAY1, []).consumers == {}


def test_validation_sees_sorted_vectors_before_anything_is_written(world: World) -> None:
    space = world.train(DAY1)

    def shuffled(*arguments: object) -> object:
        users, z_UZ = world.encode(world.settings, space.space_id, DAY1)
        return users[::-1], z_UZ[::-1]

    def look(vectors: SpaceVectors) -> None:
        assert vectors.user_ids.tolist() == sorted(vectors.user_ids.tolist())
        assert not world.settings.published_dir.exists()

    world.before_validating = look
    sources = replace(world.sources, encode=shuffled)
    backwards = write_snapshot(world.settings, sources, space.space_id, DAY1, [])
    world.before_validating = lambda _: None
    assert write_snapshot(world.settings, world.sources, space.space_id, DAY1, []) == backwards


def test_an_encoder_that_fails_its_contract_stops_it(world: World) -> None:
    space = world.train(DAY1)

    def short(*arguments: object) -> object:
        users, z_UZ = world.encode(world.settings, space.space_id, DAY1)
        return users, z_UZ[:-1]

    with pytest.raises(ContractViolation, match="expected a matrix of 40 rows"):
        write_snapshot(world.settings, replace(world.sources, encode=short), space.space_id, DAY1, [])


def test_by_default_every_required_consumer_is_waited_for() -> None:
    assert Sources().required == tuple(CONSUMERS)
    assert "matching" in CONSUMERS
