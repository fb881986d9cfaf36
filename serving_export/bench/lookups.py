"""Time lookups of published vectors beside Feast's SDK and beside a bare memory-mapped read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from serving_export.lookup import EmbeddingStore
from serving_export.pointer_moves import move
from serving_export.publish import publish
from serving_export.vectors import SpaceVectors
from training.bench.shared.timing import Timing, seconds_each
from training.contracts.partitions import Partition
from training.registry.pointer import Pointer
from training.settings import Settings

logger = logging.getLogger(__name__)
WIDTH = 120
SPACE_ID = "20261105-00000000"
PARTITION = Partition.parse("2026-11-05")
BATCHES = (1, 10, 100, 500)


def lookup_timings(settings: Settings, num_users: int, feast_users: int, repeats: int = 30) -> list[Timing]:
    """Return one line per batch size of random users.

    Args:
        settings: A home of the benchmark's own; a snapshot is published into it.
        num_users: Users in the snapshot.
        feast_users: Users in Feast's SQLite store, fewer since it takes some 2,000 rows a second.
        repeats: Calls to take the median of.
    """
    rng = np.random.default_rng(settings.seed)
    user_ids = [f"u{n:07d}" for n in range(num_users)]
    vectors = rng.normal(size=(num_users, WIDTH)).astype(np.float32)
    store = publish_vectors(settings, user_ids, vectors)
    mapped = np.load(settings.published_dir / store.pointer.live.path / "vectors.npy", mmap_mode="r")
    feast = feast_reader(settings.home / "feast_sdk", user_ids[:feast_users], vectors[:feast_users])
    return [_time(size, rng, user_ids, store, mapped, feast, feast_users, repeats) for size in BATCHES]


def _time(
    size: int,
    rng: np.random.Generator,
    user_ids: list[str],
    store: EmbeddingStore,
    mapped: np.ndarray,
    feast: Callable[[list[str]], object],
    feast_users: int,
    repeats: int,
) -> Timing:
    rows = rng.choice(feast_users, size, replace=False)
    wanted = [user_ids[row] for row in rows]
    taken = seconds_each(
        {
            "ours": lambda: store.lookup(wanted),
            "mapped": lambda: np.array(mapped[rows]),
            "feast": lambda: feast(wanted),
        },
        repeats,
    )
    return Timing(
        what=f"lookup of {size} of {len(user_ids):,} users × {mapped.shape[1]}",
        unit="ms",
        ours=1000 * taken["ours"],
        incumbents={"Feast SDK on SQLite": 1000 * taken["feast"]},
        limits={"mapped rows of known number": 1000 * taken["mapped"]},
    )


def publish_vectors(settings: Settings, user_ids: list[str], vectors: np.ndarray) -> EmbeddingStore:
    """Serve vectors of one space, float32 [U, Z], and return the store over them."""
    snapshot = publish(settings, SpaceVectors.of(SPACE_ID, PARTITION, user_ids, vectors))
    move(settings, Pointer(sequence=0, kind="promote", previous=None, live=snapshot))
    return EmbeddingStore(settings.published_dir)


def feast_reader(folder: Path, user_ids: list[str], vectors: np.ndarray) -> Callable[[list[str]], object]:
    """Return Feast's online read of the same vectors, written by Feast into an SQLite store of its own in `folder`."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Array, Float32

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("online.db", "registry.db"):
        (folder / name).unlink(missing_ok=True)
    config = {
        "project": "bench",
        "provider": "local",
        "registry": str(folder / "registry.db"),
        "online_store": {"type": "sqlite", "path": str(folder / "online.db")},
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")  # for `feast serve`
    store = FeatureStore(config=RepoConfig(**config, repo_path=folder))
    user = Entity(name="user", join_keys=["user_id"])
    view = FeatureView(
        name="vectors",
        entities=[user],
        schema=[Field(name="vector", dtype=Array(Float32))],
        source=FileSource(path=str(folder / "unused.parquet"), timestamp_field="event_timestamp"),
    )
    rows: dict[str, Any] = {"user_id": user_ids, "vector": list(vectors), "event_timestamp": datetime.now(UTC)}
    frame = pd.DataFrame(rows)
    frame.iloc[:1].to_parquet(folder / "unused.parquet")
    store.apply([user, view])
    store.write_to_online_store("vectors", frame)
    logger.info("Feast holds %d users", len(user_ids))
    return lambda wanted: store.get_online_features(["vectors:vector"], [{"user_id": u} for u in wanted]).to_dict()
