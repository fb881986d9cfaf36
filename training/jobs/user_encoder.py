"""Run the steps of the shared representation as jobs: pool taste, train, gate, encode."""

from __future__ import annotations

from typing import Any

from training.contracts.artefacts import GateDecision, SpaceRef
from training.contracts.partitions import Partition
from training.settings import Settings


def pool_taste(settings: Settings, partition: Partition, item_space_id: str | None = None) -> dict[str, Any]:
    """Pool taste and onboarding of a partition in one item space, or in every one still in use.

    Before the first retrain there is no item space and nothing is pooled.
    """
    from training.representation.item_space import item_spaces_in_use
    from training.representation.taste import pool

    named = [item_space_id] if item_space_id else item_spaces_in_use(settings, partition)
    pooled = [pool(settings, partition, name) for name in named]
    return {"partition": str(partition), "pooled": {p.item_space_id: p.num_users for p in pooled}}


def train_space(settings: Settings, partition: Partition, previous: dict[str, Any] | None = None) -> SpaceRef:
    """Train and store a candidate space."""
    from training.representation.user_encoder import train_space as train

    return train(settings, partition, SpaceRef.from_dict(previous) if previous else None)


def gate_space(settings: Settings, partition: Partition, space_id: str) -> GateDecision:
    """Decide whether a candidate space may be offered to its consumers."""
    from training.representation.user_encoder import gate_space as gate

    return gate(settings, partition, space_id)


def encode_partition(settings: Settings, partition: Partition, space_id: str) -> dict[str, Any]:
    """Write every known user's vector of a space as of a partition."""
    from training.representation.user_space import ensure_embeddings, read_embedding_file

    user_ids, vectors = read_embedding_file(ensure_embeddings(settings, space_id, partition))
    return {"partition": str(partition), "space_id": space_id, "num_users": len(user_ids), "width": vectors.shape[1]}


def study_space(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Run every probe and ablation of the representation; takes several trainings."""
    from training.representation.study import study_space as study

    return study(settings, partition)
