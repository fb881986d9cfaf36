"""Keep a reader of a frame's first day, and let it say what a later space costs those who never retrain.

The reader is the light model of the probes: it stands for every team that was fitted once and reads on.

Shape legend: U users, I items, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from training.arrays import Doubles, Floats
from training.contracts.partitions import Partition
from training.evaluation.light_model import LightModel, fit_light_model
from training.evaluation.probe_report import auc, user_weights
from training.evaluation.probes import PairTask
from training.representation.alignment import SpaceMap
from training.representation.item_space import ItemSpace, load_item_space
from training.representation.rows import anchor_of, ensure_snapshot, read_pair_task, read_snapshot
from training.representation.user_space import UserSpace
from training.reproducible import deterministic
from training.settings import Settings

HORIZON_DAYS = 7
MAX_POSITIVES = 10_000
NO_WEEK = "not enough evidence: no interactions before the label week"
_FILE = "reader.npz"


def ensure_label_week(settings: Settings, partition: Partition, spaces: Iterable[UserSpace]) -> None:
    """Build what is missing of the rows of a week before a partition, as each space reads them, where there are any."""
    anchor = anchor_of(settings, partition, HORIZON_DAYS)
    if anchor is not None:
        for item_space_id in sorted({space.ref.item_space_id for space in spaces}):
            ensure_snapshot(settings, anchor, item_space_id)


def fit_reader(settings: Settings, space: UserSpace, partition: Partition) -> LightModel | None:
    """Return a light model of a space's vectors of a week ago and of what users met since; None for want of labels."""
    anchor = anchor_of(settings, partition, HORIZON_DAYS)
    if anchor is None:
        return None
    items = load_item_space(settings, space.ref.item_space_id)
    frame = read_snapshot(settings, anchor, items.item_space_id)
    task = read_pair_task(settings, anchor, partition, frame, items, MAX_POSITIVES)
    if task.too_small:
        return None
    with deterministic(settings.seed):
        pairs = (task.user_idx, task.item_idx, task.label)
        return fit_light_model(*pairs, space.encode(frame), items.vectors(), settings.seed)


def judge_reader(
    settings: Settings, reader: LightModel | None, first: UserSpace, space: UserSpace, space_map: SpaceMap
) -> dict[str, Any]:
    """Return what the reader makes of a later space's framed vectors on a known week, beside its own encoder's.

    Both sides are the vectors of a week before the later space's partition, judged by what users met since.

    Args:
        settings: Home and seed.
        reader: Fitted on the vectors of `first`.
        first: The space that the frame began with.
        space: The later one.
        space_map: Its map into the frame.

    Returns:
        `evidence`, and where there is enough: `users`, framed vectors against those of the first encoder, by today's
        item vectors both; `items`, today's item vectors against those of the first day, on items of both, by the first
        encoder both. Each has two AUCs, the relative `change` and its 95 % `interval` over users.
    """
    partition = Partition.parse(space.ref.partition)
    anchor = anchor_of(settings, partition, HORIZON_DAYS)
    if reader is None or anchor is None:
        return {"evidence": NO_WEEK}
    items, old_items = (load_item_space(settings, one.ref.item_space_id) for one in (space, first))
    frame = read_snapshot(settings, anchor, items.item_space_id)
    task = read_pair_task(settings, anchor, partition, frame, items, MAX_POSITIVES)
    if task.too_small:
        return {"evidence": task.too_small}
    old_frame = read_snapshot(settings, anchor, old_items.item_space_id)
    framed, own = space_map.apply(_encoded(space, frame, task)), _encoded(first, old_frame, task)
    known = _rows_in(old_items, items)[task.item_idx]
    kept = known >= 0
    both = PairTask(task.user_idx[kept], task.item_idx[kept], task.label[kept])
    return {
        "evidence": f"{task.num_positives} positives of {task.num_users} users",
        "users": _compare(
            task,
            _score(reader, task, task.item_idx, framed, items),
            _score(reader, task, task.item_idx, own, items),
            settings.seed,
        ),
        "items": _compare(
            both,
            _score(reader, both, both.item_idx, own, items),
            _score(reader, both, known[kept], own, old_items),
            settings.seed,
        ),
    }


def save_reader(folder: Path, reader: LightModel) -> None:
    """Write the reader into `folder`."""
    arrays = {name: getattr(reader, name).numpy() for name in ("weight_RV", "item_V", "offset", "centre_R")}
    np.savez(folder / _FILE, scale=reader.scale, penalty=reader.penalty, **arrays)


def load_reader(folder: Path) -> LightModel | None:
    """Return the reader that `save_reader` wrote, None where there was too little to fit one on."""
    if not (folder / _FILE).exists():
        return None
    with np.load(folder / _FILE) as arrays:
        return LightModel(
            weight_RV=torch.from_numpy(arrays["weight_RV"]),
            item_V=torch.from_numpy(arrays["item_V"]),
            offset=torch.from_numpy(arrays["offset"]),
            centre_R=torch.from_numpy(arrays["centre_R"]),
            scale=float(arrays["scale"]),
            penalty=float(arrays["penalty"]),
        )


def _encoded(space: UserSpace, frame: pd.DataFrame, task: PairTask) -> Floats:
    """Return vectors of the task's users at their rows, float32 [U, Z]; zero rows for the others, who are not read."""
    users = np.unique(task.user_idx)
    vectors = np.zeros((len(frame), space.width), np.float32)
    vectors[users] = space.encode(frame.iloc[users])
    return vectors


def _rows_in(old: ItemSpace, items: ItemSpace) -> npt.NDArray[np.int64]:
    return pd.Index(old.item_ids).get_indexer(pd.Index(items.item_ids)).astype(np.int64)


def _score(
    reader: LightModel, task: PairTask, item_idx: npt.NDArray[np.int64], users_UZ: Floats, items: ItemSpace
) -> Doubles:
    return reader.score(task.user_idx, item_idx, users_UZ, items.vectors())


def _compare(task: PairTask, framed: Doubles, first: Doubles, seed: int) -> dict[str, Any]:
    if task.too_small:
        return {"evidence": task.too_small}
    weights, label = user_weights(task, seed), task.label.astype(np.float64)
    aucs = [np.array([auc(score, label, weight) for weight in weights]) for score in (framed, first)]
    change = aucs[0] / aucs[1] - 1
    low, high = np.nanquantile(change[1:], (0.025, 0.975))
    return {
        "auc": round(float(aucs[0][0]), 6),
        "auc_first": round(float(aucs[1][0]), 6),
        "change": round(float(change[0]), 6),
        "interval": [round(float(low), 6), round(float(high), 6)],
    }
