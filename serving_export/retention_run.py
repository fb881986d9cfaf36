"""Remove what the retention policy lets go."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from serving_export.online import forget_retired
from serving_export.pointer_moves import publishing_lock
from serving_export.retention import remove_folder
from serving_export.retention_plan import Plan, plan
from training.contracts.errors import TransientFailure
from training.data.derived_lock import free_to_remove
from training.registry.pointer import read_pointer
from training.settings import Settings

logger = logging.getLogger(__name__)


def apply_retention(settings: Settings) -> Plan:
    """Remove what `plan` names, and return it; a kill in the middle leaves the rest to the next call.

    No promotion or refresh is under way meanwhile, and nothing that was derived is being read. The ledger keeps its
    account of every space and model.

    Raises:
        TransientFailure: Derived files are being read; nothing was removed.
    """
    from training.tracking.mlflow import delete_versions

    with publishing_lock(settings), free_to_remove(settings) as free:
        if not free:
            raise TransientFailure(
                f"expected no job to read derived files of {settings.home}, found one that does; run retention after it"
            )
        chosen = plan(settings)
        _remove(settings, chosen.paths)
    if chosen.runs:
        delete_versions(settings, chosen.runs)
    if chosen.online:
        forget_retired(settings, read_pointer(settings.published_dir))
    return chosen


def _remove(settings: Settings, paths: Mapping[str, Sequence[str]]) -> None:
    for kind, found in paths.items():
        for name in found:
            remove_folder(settings.home / name)
        if found:
            logger.info("removed %d %s, %s first", len(found), kind, found[0])
