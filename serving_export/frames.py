"""Carry a fixed frame over promotions, so that its readers need not follow them, and begin a new one when told to."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from serving_export.pointer_moves import move, pointer_lock
from serving_export.snapshot_writer import Sources
from serving_export.vectors import FrameVectors
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.registry.ledger import Ledger
from training.registry.pointer import Pointer, read_pointer
from training.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FrameStep:
    """What becomes of the frame as a space is promoted.

    Attributes:
        in_force: The frame that this and coming spaces are brought into; empty where there is none.
        vectors: What turns the space into it; None where its step was refused.
        reason: Why it was refused.
        must_retrain: Teams pinned to the frame, which goes on being served from the space before as long as a team is.
    """

    in_force: str = ""
    vectors: FrameVectors | None = None
    reason: str = ""
    must_retrain: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the step as JSON values."""
        values = {"frame_id": self.in_force, "carried": self.vectors is not None, "reason": self.reason}
        return values | {"must_retrain": list(self.must_retrain)}


def step(
    settings: Settings, sources: Sources, pointer: Pointer | None, space_id: str, partition: Partition
) -> FrameStep:
    """Begin the first frame with a space, or bring the space into the frame in force. Never refuses the space itself.

    Args:
        settings: Home, and whether frames are kept at all.
        sources: The steps around publishing.
        pointer: The pointer in force.
        space_id: The space that is promoted.
        partition: The day that it is published for, the first day of a frame that begins with it.
    """
    in_force = pointer.frame if pointer else ""
    if settings.frame == "none":
        return FrameStep()
    try:
        entered = in_force or sources.begin_frame(settings, space_id, partition)
        decision = sources.bring_into_frame(settings, entered, space_id)
        if decision.accepted:
            return FrameStep(in_force=entered, vectors=sources.turn(settings, entered, space_id, partition))
        reason = decision.account
    except Exception as error:  # whatever is wrong with the frame, the space is served
        reason = " ".join(f"{type(error).__name__}: {error}".split())
    teams = readers_of(Ledger(settings), in_force)
    logger.warning(
        "%s does not carry %s (%s); to retrain: %s", in_force or "no frame", space_id, reason, teams or "none"
    )
    return FrameStep(in_force=in_force, reason=reason, must_retrain=teams)


def readers_of(ledger: Ledger, frame_id: str) -> tuple[str, ...]:
    """Return the teams that are pinned to a frame."""
    return tuple(team for team, name in ledger.pins().items() if name == frame_id)


def start_frame(settings: Settings, reason: str) -> tuple[str, tuple[str, ...]]:
    """End the frame in force: the next promotion begins a new one. Readers of the old one are served on as they are.

    A team that is pinned to the old frame keeps the last space that it carries; others lose it with that space.

    Args:
        settings: Where state lives.
        reason: Why; kept in the pointer and the ledger.

    Returns:
        The frame that ended, "" where none was in force, and the teams that must retrain on the new one.

    Raises:
        MissingArtefact: Nothing was ever promoted.
        AttuneError: No reason is given.
    """
    if not reason.strip():
        raise AttuneError("expected a reason for a new frame, found none; every reader of the old one must retrain")
    ledger = Ledger(settings)
    with pointer_lock(settings) as held:
        current = read_pointer(settings.published_dir)
        ended = current.frame
        if ended:
            ledger.record_intent("frame", f"after {ended}", current.sequence, reason)
            move(settings, replace(current, kind="frame", frame="", reason=reason), held)
    return ended, readers_of(ledger, ended)
