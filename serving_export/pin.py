"""Keep a consumer or an outside team on a space, or let it follow the live one again."""

from __future__ import annotations

from serving_export.reconcile import Reconciled, newest_snapshots, reconcile
from serving_export.snapshot_writer import Sources
from training.contracts.consumers import CONSUMERS
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.frames import is_frame
from training.registry.ledger import Ledger
from training.registry.pointer import Pointer, find_pointer, read_pointer
from training.settings import Settings


def pin(settings: Settings, consumer: str, space_id: str, sources: Sources | None = None) -> Reconciled:
    """Serve a consumer from one space from now on, which is then refreshed and not retired.

    An outside team may be pinned to a frame instead: the last space that the frame carries is then kept as well, and
    the team is named when a space cannot be brought into it.

    The ledger's pin is the intent; the pointer carries it out, at once or, after a crash between, with the next job.

    Raises:
        MissingArtefact: The ledger holds no such space, or no snapshot of it carries the consumer's vectors.
        FrameMismatch: The frame is not served.
        AttuneError: A consumer of ours was to be pinned to a frame: it reads vectors of its own space.
    """
    pointer = find_pointer(settings.published_dir)
    if is_frame(space_id):
        _require_frame(settings, consumer, space_id)
    elif pointer is not None and any(consumer in entry.consumers for entry in pointer.snapshots):
        _require_vectors(settings, pointer, consumer, space_id)
    ledger = Ledger(settings)
    ledger.pin(consumer, space_id)
    _intend(ledger, pointer, f"{consumer} to {space_id}")
    return _carried_out(settings, sources)


def unpin(settings: Settings, consumer: str, sources: Sources | None = None) -> Reconciled:
    """Let a consumer follow the live space again.

    Raises:
        AttuneError: It is not pinned.
    """
    ledger, pointer = Ledger(settings), find_pointer(settings.published_dir)
    if not ledger.unpin(consumer):
        raise AttuneError(f"expected a pinned consumer, found none named {consumer}; `status` lists the pins")
    _intend(ledger, pointer, f"{consumer} to what is live")
    return _carried_out(settings, sources)


def _intend(ledger: Ledger, pointer: Pointer | None, what: str) -> None:
    """Record the intent of what is about to move; the same pin again moves nothing, nor does one before a promotion."""
    if pointer is not None and pointer.pins != ledger.pins():
        ledger.record_intent("pin", what, pointer.sequence)


def _carried_out(settings: Settings, sources: Sources | None) -> Reconciled:
    done = reconcile(settings, sources)
    if "pins" in done.failures:
        raise done.failures["pins"]
    return done


def _require_frame(settings: Settings, consumer: str, frame: str) -> None:
    if consumer in CONSUMERS:
        raise AttuneError(f"expected a space to pin {consumer} to, found {frame}; only outside teams read a frame")
    read_pointer(settings.published_dir).of_frame(frame)


def _require_vectors(settings: Settings, pointer: Pointer, consumer: str, space_id: str) -> None:
    entry = pointer.of_space(space_id) or newest_snapshots(settings, {space_id}).get(space_id)
    if entry is None or consumer not in entry.consumers:
        raise MissingArtefact(
            f"expected a snapshot of space {space_id} with vectors of {consumer} below {settings.published_dir}, found "
            "none; pin a space that `status` lists among its snapshots"
        )
