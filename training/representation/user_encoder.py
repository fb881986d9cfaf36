"""Retrain the shared user representation: item vectors if due, inputs, autoencoder, evaluation, one new space."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.arrays import Floats
from training.contracts.artefacts import GateDecision, SpaceRef
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.evaluation.gate import decide
from training.registry.in_use import published_spaces
from training.registry.ledger import Ledger
from training.representation.alignment import SpaceMap
from training.representation.evaluate import compare_with_live, describe_vectors, evaluate_twin, probe_beside_live
from training.representation.fit import FittedEncoder, UserEncoderConfig, fit_encoder, version_name
from training.representation.gate import checks_of
from training.representation.item_space import ItemSpace, current_item_space, learn_item_space, load_item_space
from training.representation.rows import TrainingRows, anchor_of, read_rows, require_rows
from training.representation.store import SpaceContent, save_space
from training.representation.user_space import UserSpace
from training.settings import Settings
from training.tracking.mlflow import set_alias

_log = logging.getLogger(__name__)
MODEL_NAME = "user_encoder"


@dataclass(frozen=True)
class _Candidate:
    """A trained encoder, and what it was trained on.

    Attributes:
        partition: Its newest snapshot.
        anchor: Its other one, a label window earlier; None where nothing had arrived by then.
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
    """The space in service and what the map to it is learned from."""

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
        previous: The space to start from and to map to; the live one when None.
        config: Choices; defaults when None.
    """
    config = config or UserEncoderConfig()
    items = _item_space(settings, partition, config)
    anchor = anchor_of(settings, partition, config.horizon_days)
    snapshots = [partition] if anchor is None else [partition, anchor]
    rows = read_rows(settings, snapshots, items.item_space_id)
    require_rows(settings, partition, rows)
    live = _load_live(settings, partition, previous, rows)
    fitted = fit_encoder(rows.frame, config, settings.seed, _warm_start(live, items, config))
    today = rows.snapshot(settings, partition, items.item_space_id)
    candidate = _Candidate(partition, anchor, config, items, rows, fitted, fitted.encode(today))
    ref = SpaceRef(
        space_id=version_name(partition, fitted.content_hash(items.item_space_id, config)),
        item_space_id=items.item_space_id,
        partition=str(partition),
    )
    evaluation = _evaluate(settings, candidate)
    space_map = None
    if live is not None:
        space_map = _map_to(live, candidate.z_UZ)
        evaluation["live"] = _evaluate_beside(settings, candidate, live)
    content = SpaceContent(
        ref=ref,
        fitted=fitted,
        config=config,
        space_map=space_map,
        evaluation=evaluation,
        snapshots=rows.partitions,
        live_space_id=live.space.ref.space_id if live else None,
        sample=today.head(256),
    )
    save_space(settings, content, MODEL_NAME)
    Ledger(settings).record_space(ref)
    _log.info("trained space %s in item space %s", ref.space_id, ref.item_space_id)
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


def _item_space(settings: Settings, partition: Partition, config: UserEncoderConfig) -> ItemSpace:
    current = current_item_space(settings, partition)
    return load_item_space(settings, current) if current else learn_item_space(settings, partition, config.item_space)


def _load_live(settings: Settings, partition: Partition, previous: SpaceRef | None, rows: TrainingRows) -> _Live | None:
    """Return the served space to begin at: the newest of an earlier day, so that a rerun does not begin at itself."""
    for space_id in [previous.space_id] if previous else published_spaces(settings):
        space = UserSpace.load(settings, space_id)
        if previous or space.ref.partition < str(partition):
            return _Live(space, space.encode(rows.snapshot(settings, partition, space.ref.item_space_id)))
    return None


def _warm_start(live: _Live | None, items: ItemSpace, config: UserEncoderConfig) -> dict[str, torch.Tensor] | None:
    """Return the live encoder's weights, unless they read pooled vectors of another item space."""
    if live is None or not config.warm_start or live.space.ref.item_space_id != items.item_space_id:
        return None
    state: dict[str, torch.Tensor] = torch.load(live.space.folder / "encoder.pt", weights_only=True)
    return state


def _map_to(live: _Live, z_UZ: Floats) -> SpaceMap | None:
    return SpaceMap.learn(z_UZ, live.vectors) if live.vectors.shape == z_UZ.shape else None


def _evaluate(settings: Settings, candidate: _Candidate) -> dict[str, Any]:
    return {
        "vectors": describe_vectors(candidate.z_UZ),
        "reconstruction": candidate.fitted.reconstruction,
        "mean_prediction": candidate.fitted.mean_prediction,
        "seven_day": evaluate_twin(settings, candidate.anchor, candidate.partition, candidate.config),
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
