"""Train and judge consumer models as jobs."""

from __future__ import annotations

from training.contracts.artefacts import GateDecision, ModelRef
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings


def train_consumer(
    settings: Settings, partition: Partition, consumer: str = "matching", space_id: str | None = None
) -> ModelRef:
    """Train a consumer's model on a space, the partition's candidate when none is named.

    Raises:
        AttuneError: No space is named and the partition has no candidate, or no such consumer.
    """
    from training.recipes.consumer import consumer_named
    from training.recipes.consumer import train_consumer as train

    recipe = consumer_named(consumer)
    return train(settings, partition, recipe, space_id or candidate_space(settings, partition))


def gate_consumer(
    settings: Settings, partition: Partition, consumer: str = "matching", version: str | None = None
) -> GateDecision:
    """Decide whether a consumer's model may be promoted; the partition's newest model when none is named."""
    from training.recipes.consumer import gate_consumer as gate

    return gate(settings, partition, consumer, version or newest_version(settings, partition, consumer))


def candidate_space(settings: Settings, partition: Partition) -> str:
    """Return the id of the candidate space of a partition.

    Raises:
        AttuneError: There is none.
    """
    from training.spaces.ledger import Ledger

    found = Ledger(settings).candidate(partition)
    if found is None:
        raise AttuneError(
            f"expected a candidate space of {partition}, found none in the ledger; run train_candidate for "
            f"{partition}, or name one by space_id"
        )
    return found.space_id


def newest_version(settings: Settings, partition: Partition, consumer: str) -> str:
    """Return the version of the consumer's last written model of a partition.

    Raises:
        AttuneError: There is none.
    """
    folder = settings.model_dir(consumer, "any").parent
    found = [path for path in folder.glob(f"{partition.day:%Y%m%d}-*") if (path / "manifest.json").exists()]
    if not found:
        raise AttuneError(f"expected a {consumer} model of {partition} at {folder}, found none; run train_consumer")
    return max(found, key=lambda path: path.stat().st_mtime_ns).name
