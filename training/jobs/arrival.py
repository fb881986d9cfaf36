"""Tell whether a day's raw logs are complete, the one question that the schedule asks before it processes a day."""

from __future__ import annotations

import logging
from typing import Any

from training.contracts.partitions import Partition
from training.ingest.arrivals import arrived_partitions, incomplete, newest_arrived
from training.settings import Settings

logger = logging.getLogger(__name__)


def partition_arrived(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Return whether raw logs of this day or of a later one have arrived whole.

    A later arrival day shows that this one is over, so a day on which nothing arrived is processed as an empty day
    rather than waited for; but what was begun of it and is not whole is waited for.

    Returns:
        `arrived`, and the newest arrival day or None.

    Raises:
        AttuneError: Something below a raw folder is no folder of a day.
    """
    newest = newest_arrived(settings)
    lacks = incomplete(settings, partition)
    arrived = newest is not None and newest >= partition and not lacks
    if not arrived:
        why = lacks or f"the newest arrival day is {newest or 'none'}"
        logger.info("nothing has arrived for %s yet; %s", partition, why)
    elif partition not in arrived_partitions(settings):
        logger.warning("%s is taken as empty: nothing arrived for it, and %s has arrived", partition, newest)
    return {"arrived": arrived, "newest": str(newest) if newest else None}
