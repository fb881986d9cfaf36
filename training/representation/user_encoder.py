"""Retrain the shared user representation: item vectors if due, inputs, autoencoder, evaluation, one new space."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.arrays import Floats
from training.contracts.artefacts import GateDecision, SpaceRef
from training.contracts.errors import MissingArtefact
from training.contracts.frames import first_space_of
from training.contracts.partitions import Partition
from training.evaluation.gate import decide
from training.registry.in_use import frame_in_force, item_space_of, published_spaces
from training.registry.ledger import Ledger
from training.representation.evaluate import compare_with_live, describe_vectors, evaluate_holdout, probe_beside_live
from training.representation.fit import FittedEncoder, UserEncoderConfig, fit_encoder, version_name
from training.representation.gate import checks_of
from training.representation.item_space import ItemSpace, current_item_space, learn_item_space, load_item_space
from training.representation.rows import TrainingRows, anchor_of, ensure_snapshot, read_rows, require_rows
from training.representation.store import SpaceContent, save_space
from training.representation.user_space import UserSpace
from training.settings import Settings
from training.tracking.mlflow import set_alias

logger = logging.getLogger(__name__)
MODEL_NAME = "user_encoder"


@dataclass(frozen=True)
class _Candidate:
    """A trained encoder, and what it was trained on.

    Attributes:
        partition: Its newest snapshot.
        anchor: The one, a label window earlier, that it is evaluated from; None where it is not.
        config: Choices.
        items: Whose vectors are pooled.
        rows: Both snapshots.
        fitted: The encoder.
        z_UZ: float32[U, Z], its vectors of the newest snapshot.
    """

    partition: Partition
    anchor: Partition | None
    config: UserEncoderConfig
    items: ItemSpace
    rows: TrainingRows
    fitted: FittedEncoder
    z_UZ: Floats


@dataclass(frozen=True)
class _Live:
    """The space in service, and its vectors of the users that the candidate is judged on."""

    space: UserSpace
    vectors: Floats


def train_space(
    settings: Settings,
    partition: Partition,
    previous: SpaceRef | None = None,
    config: UserEncoderConfig | None = None,
) -> SpaceRef:
    """Train, evaluate and store a candidate space as of `partition`; same inputs and seed give the same space id.

    Args:
        settings: Home and seed.
        partition: The newest snapshot to learn from; an earlier one, `horizon_days` before, is learned from too.
        previous: The space to start from; the live one when None.
        config: Choices; defaults when None.
    """
    config = config or UserEncoderConfig()
    served = _served_before(settings, partition, previous)
    items = _item_space(settings, partition, config, served)
    anchor = anchor_of(settings, partition, config.horizon_days)
    judged = anchor if config.seven_day else None
    snapshots = [partition] if anchor is None else [partition, anchor]
    _ensure_snapshots(settings, snapshots, items, served)
    rows = read_rows(settings, snapshots, items.item_space_id)
    require_rows(settings, partition, rows)
    fitted = fit_encoder(rows.frame, config, settings.seed, _warm_start(settings, served, items, config))
    today = rows.snapshot(settings, partition, items.item_space_id)
    candidate = _Candidate(partition, judged, config, items, rows, fitted, fitted.encode(today))
    ref = SpaceRef(
        space_id=version_name(partition, fitted.content_hash(items.item_space_id, config)),
        item_space_id=items.item_space_id,
        partition=str(partition),
    )
    evaluation = _evaluate(settings, candidate)
    if served is not None:
        live = _Live(served, served.encode(rows.snapshot(settings, partition, served.ref.item_space_id)))
        evaluation["live"] = _evaluate_beside(settings, candidate, live)
    content = SpaceContent(
        ref=ref,
        fitted=fitted,
        config=config,
        evaluation=evaluation,
        snapshots=rows.partitions,
        sample=today.head(256),
    )
    save_space(settings, content, MODEL_NAME)
    Ledger(settings).record_space(ref)
    logger.info("trained space %s in item space %s", ref.space_id, ref.item_space_id)
    return ref


def gate_space(settings: Settings, partition: Partition, space_id: str) -> GateDecision:
    """Return whether a candidate may be offered to the consumers; a refusal leaves the live space in service."""
    folder = settings.space_dir(space_id)
    if not (folder / "evaluation.json").exists():
        raise MissingArtefact(f"expected space {space_id} at {folder}, found none; run train_space for {partition}")
    evaluation = json.loads((folder / "evaluation.json").read_text())
    decision = decide(settings, f"{MODEL_NAME} {space_id}", partition, checks_of(evaluation))
    ledger = Ledger(settings)
    ledger.record_gate(decision)
    ledger.record_space(_read_ref(folder), "accepted" if decision.accepted else "rejected")
    if decision.accepted:
        set_alias(settings, MODEL_NAME, "challenger", space_id)
    return decision


def _read_ref(folder: Path) -> SpaceRef:
    manifest = json.loads((folder / "manifest.json").read_text())
    return SpaceRef(**{name: manifest[name] for name in ("space_id", "item_space_id", "partition")})


def _served_before(settings: Settings, partition: Partition, previous: SpaceRef | None) -> UserSpace | None:
    """Return the served space to begin at: the newest of an earlier day, so that a rerun does not begin at itself."""
    for space_id in [previous.space_id] if previous else published_spaces(settings):
        space = UserSpace.load(settings, space_id)
        if previous or space.ref.partition < str(partition):
            return space
    return None


def _item_space(
    settings: Settings, partition: Partition, config: UserEncoderConfig, served: UserSpace | None
) -> ItemSpace:
    current = current_item_space(settings, partition)
    if current is not None:
        return load_item_space(settings, current)
    return learn_item_space(settings, partition, config.item_space, list(_to_turn_onto(settings, served)))


def _to_turn_onto(settings: Settings, served: UserSpace | None) -> Iterator[ItemSpace]:
    """Yield the item spaces whose axes a renewal keeps: that of the frame in force, then that of the served space."""
    frame_id = frame_in_force(settings)
    first = item_space_of(settings, first_space_of(frame_id)) if frame_id else None
    if first is not None:
        yield load_item_space(settings, first)
    if served is not None:
        yield load_item_space(settings, served.ref.item_space_id)


def _ensure_snapshots(
    settings: Settings, partitions: list[Partition], items: ItemSpace, served: UserSpace | None
) -> None:
    """Build what is missing of the snapshots, pooled in the candidate's item space and in that of the served space."""
    item_spaces = {items.item_space_id} | ({served.ref.item_space_id} if served else set())
    for item_space_id in sorted(item_spaces):
        for partition in partitions:
            ensure_snapshot(settings, partition, item_space_id)


def _warm_start(
    settings: Settings, served: UserSpace | None, items: ItemSpace, config: UserEncoderConfig
) -> dict[str, torch.Tensor] | None:
    """Return the served encoder's weights, unless they read pooled vectors on other axes."""
    if served is None or not config.warm_start:
        return None
    if load_item_space(settings, served.ref.item_space_id).basis != items.basis:
        return None
    state: dict[str, torch.Tensor] = torch.load(served.folder / "encoder.pt", weights_only=True)
    return state


def _evaluate(settings: Settings, candidate: _Candidate) -> dict[str, Any]:
    return {
        "vectors": describe_vectors(candidate.z_UZ),
        "reconstruction": candidate.fitted.reconstruction,
        "mean_prediction": candidate.fitted.mean_prediction,
        "seven_day": evaluate_holdout(settings, candidate.anchor, candidate.partition, candidate.config),
    }


def _evaluate_beside(settings: Settings, candidate: _Candidate, live: _Live) -> dict[str, Any]:
    beside: dict[str, Any] = compare_with_live(candidate.z_UZ, live.vectors, settings.seed)
    beside |= {"space_id": live.space.ref.space_id}
    anchor, rows, items = candidate.anchor, candidate.rows, candidate.items
    if anchor is None:
        return beside | {"seven_day": {"evidence": "not enough evidence: no interactions before the label window"}}
    own = rows.snapshot(settings, anchor, items.item_space_id)
    old = rows.snapshot(settings, anchor, live.space.ref.item_space_id)
    vectors = {"challenger": candidate.fitted.encode(own), "live": live.space.encode(old)}
    args = (settings, anchor, candidate.partition, vectors, own, items, candidate.config.max_positives)
    return beside | {"seven_day": probe_beside_live(*args)}
