"""Train and judge consumer models as jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.contracts.artefacts import ModelRef
from training.contracts.consumers import may_be_absent
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings

if TYPE_CHECKING:
    from training.consumers.base import Consumer


def train_consumer(
    settings: Settings,
    partition: Partition,
    consumer: str = "matching",
    space_id: str | None = None,
    objective: str | None = None,
    loss: str | None = None,
) -> ModelRef:
    """Train a consumer's model on a space, the partition's candidate when none is named.

    Args:
        settings: Home and seed.
        partition: The newest data that may be known.
        consumer: Whose model.
        space_id: The space.
        objective: For `matching`: "catalogue" (the default), "pairs" or "next_item".
        loss: For `matching` with "pairs": info_nce, sim_clr, row_bcnce, column_bcnce or bbcnce (the default).

    Raises:
        AttuneError: No space is named and the partition has no candidate, no such consumer, objective or loss.
    """
    from training.consumers.base import train_consumer as train

    recipe = recipe_of(consumer, objective, loss)
    return train(settings, partition, recipe, space_id or candidate_space(settings, partition))


def recipe_of(consumer: str, objective: str | None, loss: str | None) -> Consumer:
    """Return a consumer's recipe, with another objective or loss where one is named.

    Raises:
        AttuneError: No such consumer, objective or loss, or a consumer that has no choice of them.
    """
    from training.consumers.base import consumer_named

    recipe = consumer_named(consumer)
    if objective is None and loss is None:
        return recipe
    if not hasattr(recipe, "with_objective"):
        raise AttuneError(f"expected no objective or loss for {consumer}, found {objective or loss}; leave it out")
    chosen: Consumer = recipe.with_objective(objective, loss)
    return chosen


def gate_consumer(
    settings: Settings, partition: Partition, consumer: str = "matching", version: str | None = None
) -> dict[str, Any]:
    """Decide whether a consumer's model may be promoted; the partition's newest model when none is named.

    Returns:
        The decision, and whether the promotion may `go_on`: with the model, or without a consumer that may be absent
        and that the log gives nothing to learn from.
    """
    from training.consumers.base import gate_consumer as gate

    decision = gate(settings, partition, consumer, version or newest_version(settings, partition, consumer))
    absent = bool(decision.not_applicable) and may_be_absent(consumer)
    return decision.to_dict() | {"go_on": decision.accepted or absent}


def candidate_space(settings: Settings, partition: Partition) -> str:
    """Return the id of the candidate space of a partition.

    Raises:
        AttuneError: There is none.
    """
    from training.registry.ledger import Ledger

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
