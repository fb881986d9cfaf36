"""Flip what is served to a candidate space, once every required consumer has a model of that very space."""

from __future__ import annotations

import logging
from typing import Any

from serving_export.flip import follow, move, pointer_lock, publishing_lock, still_pinned
from serving_export.pointer import Pointer, PublishedSnapshot, find_pointer
from serving_export.retention import prune, retain
from serving_export.sources import Sources, write_snapshot
from training.contracts.artefacts import ModelRef, SpaceRef
from training.contracts.consumers import may_be_absent
from training.contracts.partitions import Partition
from training.settings import Settings
from training.spaces.ledger import Ledger

logger = logging.getLogger(__name__)


def promote_space(settings: Settings, partition: Partition, sources: Sources | None = None) -> dict[str, Any]:
    """Publish a partition's candidate space with its consumers and make it live in one step.

    The space that was live becomes legacy, the legacy one is retired unless a consumer is pinned to it. Where the
    encoder was not retrained, the live space stays and only its consumers' models are exchanged. Refusing is a value:
    what is live stays so.

    Returns:
        `promoted`, the live `space_id` and `partition`, its consumers' `versions`, the pointer's `sequence`, and the
        `reason` of a refusal.

    Raises:
        ContractViolation: The vectors must not be served.
        SpaceMismatch: A model was trained on another space than the ledger says.
    """
    with publishing_lock(settings):
        return _promote(settings, partition, sources or Sources(), Ledger(settings))


def _promote(settings: Settings, partition: Partition, sources: Sources, ledger: Ledger) -> dict[str, Any]:
    pointer = find_pointer(settings.published_dir)
    space = space_to_promote(ledger, pointer, partition)
    if space is None:
        return _refused(pointer, _no_candidate(ledger, partition))
    if pointer and _older(ledger, space, pointer):
        return _refused(pointer, f"space {space.space_id} is older than the live {pointer.live.space_id}")
    models, missing = choose_models(ledger, sources.required, space.space_id)
    if missing:
        lacking = ", ".join(_why(ledger, name, space.space_id) for name in missing)
        return _refused(pointer, f"no accepted model of {lacking} on space {space.space_id}; train it")
    day = _day_to_publish(partition, pointer)
    live = write_snapshot(settings, sources, space.space_id, day, models)
    moved = _flip(settings, ledger, live)
    sources.materialise(settings, Partition.parse(moved.live.partition))
    sources.announce(settings, moved)
    prune(settings, ledger, moved)
    return _report(moved, promoted=True, reason="")


def space_to_promote(ledger: Ledger, pointer: Pointer | None, partition: Partition) -> SpaceRef | None:
    """Return the partition's candidate; failing that the space already live, whose consumers may be newer."""
    candidate = ledger.candidate(partition)
    if candidate is not None:
        return candidate
    of_day = [ref for ref in ledger.spaces("live", "legacy") if ref.partition == str(partition)]
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


def _flip(settings: Settings, ledger: Ledger, live: PublishedSnapshot) -> Pointer:
    with pointer_lock(settings):
        current = find_pointer(settings.published_dir)
        moved = move(settings, _successor(ledger, current, live))
        follow(ledger, moved)
        retain(settings, moved, frozenset(ref.space_id for ref in ledger.spaces_in_use()))
    return moved


def _successor(ledger: Ledger, current: Pointer | None, live: PublishedSnapshot) -> Pointer:
    if current is None:
        return Pointer(sequence=0, kind="promote", previous=None, live=live)
    same_space = current.live.space_id == live.space_id
    legacy = current.legacy if same_space else current.live
    unchanged = same_space and current.live.consumers == live.consumers
    pinned = still_pinned(ledger, current, live, legacy)
    previous = current.previous if unchanged else current.sequence
    return Pointer(sequence=0, kind="promote", previous=previous, live=live, legacy=legacy, pinned=pinned)


def _refused(pointer: Pointer | None, reason: str) -> dict[str, Any]:
    logger.warning("not promoted: %s", reason)
    if pointer is None:
        return {"promoted": False, "reason": reason, "space_id": None, "partition": None, "versions": {}}
    return _report(pointer, promoted=False, reason=reason)


def _report(pointer: Pointer, *, promoted: bool, reason: str) -> dict[str, Any]:
    return {
        "promoted": promoted,
        "reason": reason,
        "space_id": pointer.live.space_id,
        "partition": pointer.live.partition,
        "versions": pointer.live.versions,
        "sequence": pointer.sequence,
    }
