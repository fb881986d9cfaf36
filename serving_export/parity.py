"""Hold what was served against what the raw logs give: the answers of a day, and each served space in every store.

A sample of the answers is computed again point in time, by the same jobs, from the raw rows of those users alone, in a
home of its own that is removed afterwards. Of every served space a sample of users is read packed, offline and online.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from serving_export.lookup import Snapshot
from serving_export.packed import unpack_ids
from serving_export.serving_log import Answered, log_dir, read_answers
from training.arrays import Floats
from training.contracts.columns import RAW_ITEMS, RAW_TABLES
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.ingest.arrivals import mark_delivered
from training.registry.pointer import PublishedSnapshot, find_pointer
from training.settings import Settings
from training.storage import list_partitions, open_parquet, write_json, write_parquet

SAMPLE = 200
"""Answers, and users of each served space, that are compared."""
TOLERANCE = 1e-4
"""Largest difference of a coordinate that the order of sums on another machine explains."""
KEEP_LOG_DAYS = 7
Vectors = Mapping[str, Floats]


def check_parity(settings: Settings, partition: Partition) -> dict[str, Any]:
    """Compare what was served on a day, and write `reports/parity/<day>.json`.

    Args:
        settings: Where state lives, and which share of mismatches is still let pass.
        partition: The UTC day on which the answers were given.

    Returns:
        `answers` compared and `mismatches` among them, the same for each of `spaces` by store, the `rate`, and the
        `reason` where there was nothing to compare.

    Raises:
        AttuneError: The rate of mismatches is above `parity_max_mismatches`.
    """
    rng = random.Random(f"{settings.seed} {partition}")
    answers = list(read_answers(settings, partition))
    sample = rng.sample(answers, min(SAMPLE, len(answers)))
    replayed = _replay(settings, sample)
    pointer = find_pointer(settings.published_dir)
    spaces = {entry.space_id: _stores(settings, entry, rng) for entry in (pointer.snapshots if pointer else ())}
    pairs = [replayed, *(found for stores in spaces.values() for found in stores.values())]
    compared, wrong = (sum(found[name] for found in pairs) for name in ("compared", "mismatches"))
    rate = wrong / max(compared, 1)
    report = {"partition": str(partition), "answers": replayed, "spaces": spaces, "kept_answers": len(answers)}
    report |= {"compared": compared, "mismatches": wrong, "rate": rate}
    path = settings.reports_dir / "parity" / f"{partition}.json"
    write_json(report, path)
    _forget_old(settings, partition)
    if rate > settings.parity_max_mismatches:
        raise AttuneError(
            f"expected at most {settings.parity_max_mismatches:.2%} of {compared} vectors to differ between stores and "
            f"raw logs, found {wrong} at {path}; look which store differs there, then refresh or `reconcile`"
        )
    return report


def _replay(settings: Settings, sample: Sequence[Answered]) -> dict[str, int]:
    """Compute answers again from raw, one home for each (space, day) that was served."""
    groups: dict[tuple[str, str], list[Answered]] = {}
    for answer in sample:
        groups.setdefault((answer.space_id, answer.partition), []).append(answer)
    counts = {"compared": 0, "mismatches": 0}
    for (space_id, day), group in sorted(groups.items()):
        if not settings.space_dir(space_id).is_dir():
            continue
        users = sorted({answer.user_id for answer in group})
        found = recompute(settings, space_id, Partition.parse(day), users)
        known = [answer for answer in group if answer.user_id in found]  # one who was erased since is in no raw log
        counts["compared"] += len(known)
        counts["mismatches"] += sum(not is_same(answer.vector, found[answer.user_id]) for answer in known)
    return counts


def recompute(settings: Settings, space_id: str, partition: Partition, users: Sequence[str]) -> Vectors:
    """Return users' vectors of a space as of a partition, from the raw days up to it and nothing that was derived."""
    from training.data import feature_store
    from training.jobs import run
    from training.representation.user_space import UserSpace, ensure_embeddings, read_embeddings

    parent = settings.home / "parity"
    shutil.rmtree(parent, ignore_errors=True)  # what a killed check left holds users' rows
    parent.mkdir()
    try:
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            scratch = _home(settings, Path(folder))
            _copy_raw(settings, scratch, partition, users)
            item_space_id = UserSpace.load(settings, space_id).ref.item_space_id
            for source in (settings.space_dir(space_id), settings.item_space_dir(item_space_id)):
                target = scratch.home / source.relative_to(settings.home)
                target.parent.mkdir(parents=True)
                target.symlink_to(source)
            for job in ("land_partition", "transform_partition"):
                run(job, str(partition), settings=scratch)
            feature_store.apply(scratch)
            ensure_embeddings(scratch, space_id, partition)
            found, vectors_UZ = read_embeddings(scratch, space_id, partition)
            return dict(zip(found, vectors_UZ, strict=True))
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def is_same(one: Floats, other: Floats) -> bool:
    """Return whether two vectors are one but for rounding."""
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE))


def _home(settings: Settings, folder: Path) -> Settings:
    """Return a home that shares nothing with the one that is checked, and lets every row pass that landed there."""
    own = Settings.from_env({"ATTUNE_HOME": str(folder)})
    return replace(
        settings,
        home=own.home,
        database_url=own.database_url,
        registry_url=own.registry_url,
        mlflow_uri=own.mlflow_uri,
        online_store="sqlite",
        quarantine_max_share=1.0,
    )


def _copy_raw(settings: Settings, scratch: Settings, until: Partition, users: Sequence[str]) -> None:
    for table in RAW_TABLES:
        days = list_partitions(settings.raw_dir(table)) if settings.raw_dir(table).is_dir() else []
        for day in (day for day in days if day <= until):
            source, target = settings.raw_dir(table) / f"dt={day}", scratch.raw_dir(table) / f"dt={day}"
            target.mkdir(parents=True)
            for path in source.glob("*.parquet"):
                rows = open_parquet(path).read()
                if table != RAW_ITEMS.name and "user_id" in rows.column_names:
                    rows = rows.filter(pc.is_in(rows["user_id"].cast("string"), value_set=_strings(users)))
                if rows.num_rows:
                    write_parquet(rows, target / path.name)
            mark_delivered(target)


def _strings(users: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.array(users, pa.string())


def _stores(settings: Settings, entry: PublishedSnapshot, rng: random.Random) -> dict[str, dict[str, int]]:
    """Compare users of a snapshot with what lies offline and online for its space and day."""
    snapshot = Snapshot(settings.published_dir, entry)
    known = np.flatnonzero(~np.asarray(snapshot.is_virtual)).tolist()
    rows = sorted(rng.sample(known, min(SAMPLE, len(known))))
    packed = dict(zip(unpack_ids(snapshot.user_ids[rows]), snapshot.vectors[rows], strict=True))
    return {
        "offline": _count(packed, _offline(settings, entry)),
        "online": _count(packed, _online(settings, entry, list(packed))),
    }


def _count(packed: Vectors, other: Vectors) -> dict[str, int]:
    same = sum(user in other and is_same(vector, other[user]) for user, vector in packed.items())
    return {"compared": len(packed), "mismatches": len(packed) - same}


def _offline(settings: Settings, entry: PublishedSnapshot) -> Vectors:
    from training.representation.user_space import read_embeddings

    users, vectors_UZ = read_embeddings(settings, entry.space_id, Partition.parse(entry.partition))
    return dict(zip(users, vectors_UZ, strict=True))


def _online(settings: Settings, entry: PublishedSnapshot, users: Sequence[str]) -> Vectors:
    from training.data.feature_store import read_online

    rows = read_online(settings, "matching_v1", [{"user_id": user, "space_id": entry.space_id} for user in users])
    pairs = zip(rows["user_id"], rows["vector"], strict=True)
    return {user: np.asarray(vector, np.float32) for user, vector in pairs if vector is not None}


def _forget_old(settings: Settings, partition: Partition) -> None:
    for day in list_partitions(log_dir(settings)) if log_dir(settings).is_dir() else ():
        if (partition.day - day.day).days >= KEEP_LOG_DAYS:
            shutil.rmtree(log_dir(settings) / f"dt={day}")
