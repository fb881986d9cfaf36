"""Lead from a served vector back to the encoder run, its gate, the feature partitions and the raw files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving_export.champion import find_run
from serving_export.lookup import EmbeddingStore
from training.contracts.artefacts import ModelRef
from training.contracts.columns import DBT_FEATURES, POOLED_FEATURES
from training.contracts.partitions import Partition
from training.registry.ledger import Ledger
from training.settings import Settings


def describe_origin(
    settings: Settings, space_id: str, partition: Partition, models: Sequence[ModelRef] = ()
) -> dict[str, Any]:
    """Return what a snapshot is made from, as its manifest keeps it.

    Returns:
        `encoder` (the space's own manifest: run, training set, item space), `gates` on the space and on the models,
        `features` (SHA-256 of each feature file that was read) and `raw` (days landed, and one hash over them).
    """
    encoder = _read_json(settings.space_dir(space_id) / "manifest.json")
    item_space_id = encoder.get("item_space_id")
    return {
        "encoder": encoder,
        "gates": _gates(settings, [space_id, *(model.version for model in models)]),
        "features": _features(settings, partition, item_space_id),
        "raw": _raw_summary(settings, partition),
    }


def trace(settings: Settings, user_id: str, space_id: str | None = None) -> dict[str, Any]:
    """Return the way from one user's served vector back to the raw files.

    Args:
        settings: Where state lives.
        user_id: External id.
        space_id: A served space; None means the live one.

    Raises:
        UnknownId: The snapshot holds no such user.
    """
    store = EmbeddingStore(settings.published_dir, space_id=space_id)
    found = store.lookup([user_id])
    snapshot = store.snapshot
    partition = Partition.parse(found.partition)
    return {
        "user_id": user_id,
        "vector_sha256": hashlib.sha256(found.vectors.tobytes()).hexdigest(),
        "snapshot": snapshot.entry.to_dict(),
        "pointer": {"sequence": store.pointer.sequence, "kind": store.pointer.kind},
        **snapshot.manifest["lineage"],
        "encoder_run": _run(settings, found.space_id),
        "raw_files": raw_files(settings, partition),
    }


def _run(settings: Settings, space_id: str) -> dict[str, Any]:
    """Return the encoder's MLflow run; where MLflow does not answer, why, since all else is known without it."""
    try:
        return find_run(settings, space_id)
    except Exception as error:
        return {"unavailable": " ".join(str(error).split())}


def raw_files(settings: Settings, partition: Partition) -> list[dict[str, Any]]:
    """Return the raw files of every day landed up to a partition, each with its fingerprint, oldest first."""
    return [
        {"partition": path.parent.name.removeprefix("dt="), "files": _read_json(path).get("raw", {})}
        for path in _landed(settings, partition)
    ]


def _gates(settings: Settings, names: Sequence[str]) -> list[dict[str, Any]]:
    decisions = Ledger(settings).gates()
    return [d.to_dict() for d in decisions if any(name in d.subject for name in names)]


def _features(settings: Settings, partition: Partition, item_space_id: str | None) -> dict[str, str]:
    folders = [settings.features_dir(name, partition) for name in DBT_FEATURES]
    if item_space_id:
        folders += [settings.features_dir(name, partition, item_space_id) for name in POOLED_FEATURES]
    files = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
    return {str(path.relative_to(settings.home)): _sha256(path) for path in files}


def _raw_summary(settings: Settings, partition: Partition) -> dict[str, Any]:
    digest, days = hashlib.sha256(), []
    for path in _landed(settings, partition):
        days.append(path.parent.name.removeprefix("dt="))
        digest.update(path.read_bytes())
    bounds = {"first": days[0], "last": days[-1]} if days else {}
    return {**bounds, "num_partitions": len(days), "fingerprint": digest.hexdigest()}


def _landed(settings: Settings, partition: Partition) -> list[Path]:
    found = sorted(settings.landed_dir("manifests").glob("dt=*/manifest.json"))
    return [path for path in found if path.parent.name <= f"dt={partition}"]


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
