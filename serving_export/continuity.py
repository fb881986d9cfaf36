"""Refuse a snapshot that has lost users: a day's logs that went missing leave every job green and people unserved."""

from __future__ import annotations

import numpy as np

from serving_export.packed import Ids, unpack_ids
from serving_export.snapshot import Snapshot
from training.contracts.errors import ContractViolation
from training.registry.pointer import PublishedSnapshot
from training.settings import Settings


def require_continuity(settings: Settings, user_ids: Ids, served: PublishedSnapshot) -> None:
    """Hold the users of a snapshot to come against those that are served.

    Snapshots are complete, so users only ever leave by erasure or where a delivery is taken back.

    Args:
        settings: Says which share may leave at once; one user always may.
        user_ids: Packed ids of the snapshot to come, sorted.
        served: What it would replace.

    Raises:
        ContractViolation: More users would be lost than may be.
    """
    known = Snapshot(settings.published_dir, served).user_ids
    lost = known[~np.isin(known, user_ids)]
    if len(lost) <= max(1, int(settings.lost_users_max_share * len(known))):
        return
    raise ContractViolation(
        f"expected the {len(known)} users that are served since {served.partition}, found {len(lost)} of them missing "
        f"(first {unpack_ids(lost[:1])[0]!r}) among {len(user_ids)}; restore the logs that are missing below "
        f"{settings.home / 'raw'}, or accept the loss with a reason (refresh --accept-loss, promote --force)"
    )
