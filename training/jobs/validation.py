"""Hold a partition's landed logs and feature snapshots to their suites before anything reads them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from training.contracts.artefacts import Check
from training.contracts.columns import DBT_FEATURES, POOLED_FEATURES, RAW_INTERACTIONS
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.derived_lock import reads_derived
from training.settings import Settings
from training.storage import PART
from training.validation.data_docs import docs_dir
from training.validation.runner import require

logger = logging.getLogger(__name__)


@reads_derived
def validate_features(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Return how many rows of each boundary passed its suite; the data docs are left for people to open.

    Looked at: the day's landed interactions (already judged row by row on landing), every feature snapshot, and the
    pooled tables of every item space that has one.

    Raises:
        MissingArtefact: A feature snapshot of the partition is not there.
        ContractViolation: A check failed; the message names it and the page that shows all.
    """
    rows: dict[str, int] = {}
    checks: list[Check] = []
    for suite, label, path, facts in _boundaries(settings, partition):
        frame = pq.read_table(path).to_pandas()
        if suite == "raw_interactions" and frame.empty:
            continue
        checks.extend(require(settings, suite, frame, partition, **facts))
        rows[label] = len(frame)
    logger.info("%s: %d checks passed on %d boundaries", partition, len(checks), len(rows))
    docs = docs_dir(settings, partition, RAW_INTERACTIONS.name).parent
    return {"partition": str(partition), "rows": rows, "num_checks": len(checks), "data_docs": str(docs)}


def _boundaries(settings: Settings, partition: Partition) -> Iterator[tuple[str, str, Path, dict[str, str]]]:
    landed = settings.landed_dir(RAW_INTERACTIONS.name) / f"dt={partition}" / PART
    if landed.is_file():
        yield "raw_interactions", "raw_interactions", landed, {}
    for table in DBT_FEATURES:
        path = settings.features_dir(table, partition) / PART
        if not path.is_file():
            raise MissingArtefact(f"expected the {table} snapshot at {path}, found none; run transform_partition first")
        yield table, table, path, {}
    for table in POOLED_FEATURES:
        for folder in sorted((settings.home / "features" / table).glob("item_space=*")):
            item_space_id = folder.name.removeprefix("item_space=")
            path = settings.features_dir(table, partition, item_space_id) / PART
            if path.is_file():
                yield table, f"{table}/{item_space_id}", path, {"item_space_id": item_space_id}
