"""Search the negative samplers of the consumers as a job."""

from __future__ import annotations

from typing import Any

from training.contracts.partitions import Partition
from training.settings import Settings


def search_negative_samplers(settings: Settings, partition: Partition, consumer: str | None = None) -> dict[str, Any]:
    """Record and return the samplers of a consumer, or of every one, on what is known as of a partition.

    Consumers train with the newest choice recorded up to their partition from then on.

    Raises:
        AttuneError: No such consumer, or the interactions of the partition are not there.
    """
    from training.consumers.base import consumer_named
    from training.contracts.consumers import CONSUMERS
    from training.sampler_search.recipe import search_for_consumer

    names = [consumer_named(consumer).name] if consumer else list(CONSUMERS)
    chosen = {name: search_for_consumer(settings, partition, name) for name in names}
    return {"partition": str(partition), "weights": {name: choice.weights for name, choice in chosen.items()}}
