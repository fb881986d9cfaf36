"""Flip what is served to a candidate space, once every required consumer has a model of that very space."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from serving_export.champion import ENCODER
from serving_export.frames import FrameStep, step
from serving_export.pointer_moves import move, pointer_lock, publishing_lock, still_pinned, withdrawn
from serving_export.reconcile import reconcile, serve_online
from serving_export.snapshot_writer import Sources, write_snapshot
from training.contracts.artefacts import ModelRef, SpaceRef
from training.contracts.consumers import may_be_absent
from training.contracts.partitions import Partition
from training.registry.ledger import Ledger
from training.registry.pointer import Pointer, PublishedSnapshot, find_pointer
from training.settings import Settings

logger = logging.getLogger(__name__)


def promote_space(
    settings: Settings, partition: Partition, sources: Sources | None = None, *, force: str = ""
) -> dict[str, Any]:
    """Publish a partition's candidate space with its consumers and make it live in one step.

    The space that was live becomes legacy, the legacy one is retired unless a consumer is pinned to it. Where the
    encoder was not retrained, the live space stays and only its consumers' models are exchanged. Refusing is a value:
    what is live stays so.

    Args:
        settings: Where state lives.
        partition: Whose candidate.
        sources: The steps around publishing.
        force: Why a space is promoted that its gate has not accepted, that a rollback has left, or that loses users;
            kept in the pointer and the ledger. Empty refuses all three.

    Returns:
        `promoted`, the live `space_id` and `partition`, its consumers' `versions`, the pointer's `sequence`, the
        `reason` of a refusal, the stores that are `pending`, and of a promotion what became of the `frame`.

    Raises:
        ContractViolation: The vectors must not be served.
        SpaceMismatch: A model was trained on another space than the ledger says.
    """
    sources = sources or Sources()
    with publishing_lock(settings):
        reconcile(settings, sources, alone=True, clear=False)
        pointer = find_pointer(settings.published_dir)
        chosen = _choose(Ledger(settings), sources, pointer, partition, force)
        if isinstance(chosen, str):
            return _refused(pointer, chosen)
        space, models = chosen
        carried = _publish(settings, sources, pointer, partition, space, models, force)
        done = reconcile(settings, sources, alone=True)
    assert done.pointer is not None
    report = _report(done.pointer, promoted=True, reason="", pending=done.pending)
    return report | {"frame": carried.to_dict()}


def _choose(
    ledger: Ledger, sources: Sources, pointer: Pointer | None, partition: Partition, force: str
) -> tuple[SpaceRef, list[ModelRef]] | str:
    """Return the space to promote and its models, or why nothing is promoted."""
    space = space_to_promote(ledger, pointer, partition)
    if space is None:
        return _no_candidate(ledger, partition)
    if pointer and _older(ledger, space, pointer):
        return f"space {space.space_id} is older than the live {pointer.live.space_id}"
    models, missing = choose_models(ledger, sources.required, space.space_id)
    if missing:
        lacking = ", ".join(_why(ledger, name, space.space_id) for name in missing)
        return f"no accepted model of {lacking} on space {space.space_id}; train it"
    refusal = _unfit(ledger, pointer, space, models)
    if refusal and not force:
        return f'{refusal}; promote with --force "REASON" to serve it all the same'
    if refusal:
        logger.warning("%s; promoted all the same: %s", refusal, force)
    return space, models


def _unfit(ledger: Ledger, pointer: Pointer | None, space: SpaceRef, models: list[ModelRef]) -> str:
    """Return why a space may only be promoted by force, "" when nothing is against it."""
    if pointer and withdrawn(pointer, space.space_id, {model.consumer: model.version for model in models}):
        return f"space {space.space_id} with these models was left by a rollback"
    if pointer and pointer.of_space(space.space_id):
        return ""
    gates = ledger.gates(f"{ENCODER} {space.space_id}")
    if not gates:
        return f"no gate has judged space {space.space_id}"
    return "" if gates[-1].accepted else f"the gate of space {space.space_id} refused it ({gates[-1].report})"


def _publish(
    settings: Settings,
    sources: Sources,
    pointer: Pointer | None,
    partition: Partition,
    space: SpaceRef,
    models: list[ModelRef],
    force: str,
) -> FrameStep:
    """Prepare everything beside what is served, then move the pointer: the one commit point."""
    ledger = Ledger(settings)
    ledger.record_intent("promote", f"{space.space_id} of {partition}", pointer.sequence if pointer else 0, force)
    replaces = pointer.live if pointer and not force else None
    day = _day_to_publish(partition, pointer)
    carried = step(settings, sources, pointer, space.space_id, day)
    live = write_snapshot(settings, sources, space.space_id, day, models, replaces, carried.vectors)
    serve_online(settings, sources, live)
    sources.carry(settings, live)
    with pointer_lock(settings) as held:
        current = find_pointer(settings.published_dir)
        in_force = carried.in_force
        if pointer and current and current.frame != pointer.frame:
            in_force = current.frame  # it was ended while the snapshot was written
        move(settings, replace(_successor(ledger, current, live), reason=force, frame=in_force), held)
    return carried


def space_to_promote(ledger: Ledger, pointer: Pointer | None, partition: Partition) -> SpaceRef | None:
    """Return the partition's candidate or what became of it; failing that the live space, with newer consumers."""
    candidate = ledger.candidate(partition)
    if candidate is not None:
        return candidate
    for states in (("live", "legacy"), ("retired",)):
        of_day = [ref for ref in ledger.spaces(*states) if ref.partition == str(partition)]
        if of_day:
            return of_day[-1]
    return ledger.space(pointer.live.space_id) if pointer else None


def choose_models(ledger: Ledger, required: tuple[str, ...], space_id: str) -> tuple[list[ModelRef], list[str]]:
    """Return the newest accepted model of each required consumer on a space, and the consumers without one.

    A consumer pinned to another space is neither taken nor missed; nor is one that may be absent and that the newest
    log gives nothing to learn from, even where an older one did.
    """
    pins = ledger.pins()
    wanted = [name for name in required if pins.get(name, space_id) == space_id]
    lacking = {name for name in wanted if ledger.is_not_applicable(name, space_id)}
    found = {name: None if name in lacking else ledger.newest_model(name, space_id) for name in wanted}
    absent = {name for name in lacking if may_be_absent(name)}
    missing = [name for name, model in found.items() if model is None and name not in absent]
    return [model for model in found.values() if model], missing


def _why(ledger: Ledger, consumer: str, space_id: str) -> str:
    """Return a consumer's name, with why it has no model on a space where its gate has said so."""
    models = ledger.models(consumer, "rejected", "not_applicable", space_id=space_id)
    decisions = ledger.gates(f"{consumer} {models[-1].version}") if models else []
    return f"{consumer} ({decisions[-1].account})" if decisions else consumer


def _no_candidate(ledger: Ledger, partition: Partition) -> str:
    """Return why a partition has no candidate, where a gate has said so."""
    refused = [ref.space_id for ref in ledger.spaces("rejected") if ref.partition == str(partition)]
    gates = [gate for gate in ledger.gates() if refused and gate.subject.endswith(refused[-1])]
    why = f" (the gate of {gates[-1].subject}: {gates[-1].account})" if gates else ""
    return f"no candidate space of {partition}{why}, and none is live; train one"


def _older(ledger: Ledger, space: SpaceRef, pointer: Pointer) -> bool:
    live = next((ref for ref in ledger.spaces() if ref.space_id == pointer.live.space_id), None)
    return live is not None and space.partition < live.partition


def _day_to_publish(partition: Partition, pointer: Pointer | None) -> Partition:
    """A refresh may already serve a later day; the new space then starts on that day, so that no user goes back."""
    return max(partition, Partition.parse(pointer.live.partition)) if pointer else partition


def _successor(ledger: Ledger, current: Pointer | None, live: PublishedSnapshot) -> Pointer:
    pins = ledger.pins()
    if current is None:
        return Pointer(sequence=0, kind="promote", previous=None, live=live, pins=pins)
    same_space = current.live.space_id == live.space_id
    legacy = current.legacy if same_space else current.live
    unchanged = same_space and current.live.consumers == live.consumers
    kept = (e for e in current.withdrawn if (e.space_id, e.consumers) != (live.space_id, live.consumers))
    return Pointer(
        sequence=current.sequence,
        kind="promote",
        previous=current.previous if unchanged else current.sequence,
        live=live,
        legacy=legacy,
        pinned=still_pinned(ledger, current, live, legacy),
        pins=pins,
        returned=current.returned if unchanged else None,
        withdrawn=tuple(kept),
    )


def _refused(pointer: Pointer | None, reason: str) -> dict[str, Any]:
    logger.warning("not promoted: %s", reason)
    if pointer is None:
        return {"promoted": False, "reason": reason, "space_id": None, "partition": None, "versions": {}}
    return _report(pointer, promoted=False, reason=reason)


def _report(pointer: Pointer, *, promoted: bool, reason: str, pending: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "promoted": promoted,
        "reason": reason,
        "space_id": pointer.live.space_id,
        "partition": pointer.live.partition,
        "versions": pointer.live.versions,
        "sequence": pointer.sequence,
        "pending": pending or {},
    }
