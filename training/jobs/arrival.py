"""Tell whether a day's raw logs are complete, the one question that the schedule asks before it processes a day."""

from __future__ import annotations

import logging
from typing import Any

from training.contracts.partitions import Partition
from training.ingest.arrivals import newest_arrived
from training.settings import Settings

log = logging.getLogger(__name__)


def partition_arrived(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Return whether raw logs of this day or of a later one have arrived.

    A later arrival day shows that this one is over, so a day on which nothing arrived is processed as an empty day
    rather than waited for.

    Returns:
        `arrived`, and the newest arrival day or None.
    """
    newest = newest_arrived(settings)
    arrived = newest is not None and newest >= partition
    if not arrived:
        log.info("nothing has arrived for %s yet; the newest arrival day is %s", partition, newest or "none")
    return {"arrived": arrived, "newest": str(newest) if newest else None}
