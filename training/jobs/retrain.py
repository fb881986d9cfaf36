"""Decide whether a partition retrains the encoder, keeps the live one, or is superseded; and act on it.

Refresh is not retrain: whatever is decided here, `refresh_embeddings` encodes the partition's users with the spaces
that are served. This module decides only whether a new candidate space is offered to the consumers.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from training.contracts.artefacts import Check, GateDecision, SpaceRef
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch
from training.contracts.partitions import Partition
from training.ingest.arrivals import arrived_partitions
from training.registry.ledger import Ledger
from training.settings import Settings

logger = logging.getLogger(__name__)
POLICIES = ("latest", "every_partition")


def retrain_decision(settings: Settings, partition: Partition, retrain: str | None = None) -> dict[str, Any]:
    """Return what this partition does with the encoder, and why.

    Args:
        settings: Where state lives, and how often to retrain.
        partition: The partition in question.
        retrain: "latest" or "every_partition"; the setting when None.

    Returns:
        `go_on` (whether anything is trained), `mode` ("train": a new space; "keep": consumers retrain on the live
        space, because the next retrain is not due; "superseded": newer logs have arrived), and `reason`.

    Raises:
        MissingArtefact: No logs have arrived at all.
        AttuneError: No such policy.
    """
    policy = retrain or settings.retrain
    if policy not in POLICIES:
        raise AttuneError(f"expected retrain as one of {', '.join(POLICIES)}, found {policy!r}; see the run's conf")
    mode, reason = _superseded(settings, partition, policy) or _cadence(settings, partition)
    logger.info("%s: %s, %s", partition, mode, reason)
    return {"go_on": mode != "superseded", "mode": mode, "reason": reason, "partition": str(partition)}


def train_candidate(settings: Settings, partition: Partition, retrain: str | None = None) -> dict[str, Any]:
    """Return the space that this partition offers to the consumers: newly trained, or the live one when none is due.

    Raises:
        AttuneError: The partition is superseded, so nothing may be offered for it.
    """
    decision = retrain_decision(settings, partition, retrain)
    if decision["mode"] == "superseded":
        raise AttuneError(
            f"expected a partition that trains, found {partition}: {decision['reason']}; "
            'pass retrain "every_partition" to train it all the same'
        )
    if decision["mode"] == "keep":
        return _live(settings, partition).to_dict()
    from training.jobs.user_encoder import train_space  # torch: only when a space is trained

    return as_reference(train_space(settings, partition))


def gate_candidate(settings: Settings, partition: Partition, space_id: str) -> GateDecision:
    """Return whether the offered space may go on; a live space that was kept has passed its gate before.

    Raises:
        SpaceMismatch: The space is neither the partition's own nor the live one.
    """
    if Ledger(settings).space(space_id).partition != str(partition):
        live = _live(settings, partition)
        if live.space_id != space_id:
            raise SpaceMismatch(
                live.space_id,
                space_id,
                f"the offer of {partition}",
                f"train a space of {partition}, or keep the live one",
            )
        check = Check(name="kept", passed=True, observed=f"live space {space_id}", allowed="retrain not due")
        return GateDecision(subject=space_id, partition=str(partition), accepted=True, checks=(check,), report="")
    from training.jobs.user_encoder import gate_space  # torch: only when a space is judged

    decision: GateDecision = gate_space(settings, partition, space_id)
    return decision


def as_reference(value: Any) -> dict[str, Any]:
    """Return an artefact's fields, or a mapping as it is."""
    result: dict[str, Any] = value.to_dict() if hasattr(value, "to_dict") else dict(value)
    return result


def _superseded(settings: Settings, partition: Partition, policy: str) -> tuple[str, str] | None:
    """Only a day that is over supersedes: files that arrive while one lasts would leave no day to train on."""
    arrived = arrived_partitions(settings)
    if not arrived:
        raise MissingArtefact(
            f"expected raw logs under {settings.raw_dir('interactions')}, found none; run import_logs or simulate_logs"
        )
    newest = max((day for day in arrived if day.as_of <= datetime.now(UTC)), default=partition)
    if partition >= newest or policy == "every_partition":
        return None
    return "superseded", f"logs of {newest} have arrived, so {newest} trains"


def _cadence(settings: Settings, partition: Partition) -> tuple[str, str]:
    live = Ledger(settings).spaces("live")
    if not live:
        return "train", "no space is live yet"
    trained = Partition.parse(live[-1].partition)
    due = trained.shift(settings.retrain_every_days)
    if trained < partition < due:
        return "keep", f"live space {live[-1].space_id} of {trained} is kept until {due}"
    return "train", f"live space {live[-1].space_id} of {trained} is followed by a retrain from {due} on"


def _live(settings: Settings, partition: Partition) -> SpaceRef:
    live = Ledger(settings).spaces("live")
    if not live:
        raise MissingArtefact(
            f"expected a live space to keep for {partition}, found none; unset ATTUNE_RETRAIN_EVERY_DAYS"
        )
    return live[-1]
