"""Judge a user encoder: by its holdout on a week that it never saw, by its own vectors beside the live ones.

Shape legend: U users, I items, Z latent columns.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd

from training.arrays import Floats
from training.contracts.columns import MODALITIES
from training.contracts.partitions import Partition
from training.data.vector_columns import stack_vectors
from training.evaluation.drift import effective_rank, neighbour_overlap, norm_statistics
from training.evaluation.probe_report import compare_representations
from training.representation.fit import FittedEncoder, UserEncoderConfig, fit_encoder
from training.representation.item_space import ItemSpace, current_item_space, learn_item_space, load_item_space
from training.representation.rows import ensure_snapshot, read_pair_task, read_snapshot
from training.representation.train import principal_axes
from training.settings import Settings

logger = logging.getLogger(__name__)
NUM_NEIGHBOURS = 20
MAX_NEIGHBOUR_USERS = 1000


def evaluate_holdout(
    settings: Settings, anchor: Partition | None, partition: Partition, config: UserEncoderConfig
) -> dict[str, Any]:
    """Return the seven-day comparison of the recipe, trained on nothing later than the anchor.

    The space that goes into service has seen the label week through its item vectors, so its own figures would
    flatter it. The holdout is the same recipe with item vectors, scalers and encoder as of the anchor; the item vectors
    are those that a retrain of that day reads, learned here only where it would have learned them.
    """
    if anchor is None:
        return {"evidence": "not enough evidence: no interactions before the label window"}
    items = _items_as_of(settings, anchor, config)
    ensure_snapshot(settings, anchor, items.item_space_id)
    frame = read_snapshot(settings, anchor, items.item_space_id)
    task = read_pair_task(settings, anchor, partition, frame, items, config.max_positives)
    if task.too_small:
        return {"evidence": task.too_small}
    holdout = fit_encoder(frame, config, settings.seed)
    table = representations(frame, holdout)
    return compare_representations(task, table, items.vectors(), "mean_of_items", settings.seed)


def _items_as_of(settings: Settings, anchor: Partition, config: UserEncoderConfig) -> ItemSpace:
    current = current_item_space(settings, anchor)
    if current is not None:
        return load_item_space(settings, current)
    return learn_item_space(settings, anchor, config.item_space, trial=True)


def representations(frame: pd.DataFrame, encoder: FittedEncoder) -> dict[str, Floats]:
    """Return z and what it must beat: the mean of the user's items, and PCA of the input to the same width."""
    z_UZ = encoder.encode(frame)
    x_UF, _ = encoder.assembler.transform(frame)
    pca = principal_components(x_UF, z_UZ.shape[1])
    return {"z": z_UZ, "mean_of_items": mean_of_items(frame), "pca": pca}


def mean_of_items(frame: pd.DataFrame) -> Floats:
    """Return the plain mean of each user's item vectors, both modalities, over all time: float32 [U, 2 D]."""
    return np.hstack([stack_vectors(frame[f"taste_{modality}_all"]) for modality in MODALITIES])


def principal_components(x_UF: Floats, width: int) -> Floats:
    """Return the first `width` principal components of the inputs, float32 [U, width], zero above the rank."""
    axes_FZ, centre_F = principal_axes(x_UF, width)
    return np.asarray((x_UF - centre_F) @ axes_FZ, np.float32)


def describe_vectors(z_UZ: Floats) -> dict[str, Any]:
    """Return the health figures of a set of user vectors."""
    finite = bool(np.isfinite(z_UZ).all())
    return {
        "num_users": len(z_UZ),
        "width": int(z_UZ.shape[1]),
        "finite": finite,
        "effective_rank": round(effective_rank(z_UZ), 4) if finite else 0.0,
        "norm": norm_statistics(z_UZ) if finite else {},
    }


def compare_with_live(z_UZ: Floats, live_UZ: Floats, seed: int) -> dict[str, Any]:
    """Return how far the vectors of the same users moved: neighbours kept, and the ratio of mean lengths."""
    overlap = neighbour_overlap(z_UZ, live_UZ, NUM_NEIGHBOURS, MAX_NEIGHBOUR_USERS, seed)
    norms = [norm_statistics(vectors).get("mean", 0.0) for vectors in (z_UZ, live_UZ)]
    return {
        "neighbour_overlap": round(overlap, 4),
        "chance_overlap": round(min(NUM_NEIGHBOURS / max(len(z_UZ) - 1, 1), 1.0), 4),
        "norm_ratio": round(norms[0] / max(norms[1], 1e-12), 4),
    }


def probe_beside_live(
    settings: Settings,
    anchor: Partition,
    partition: Partition,
    vectors: dict[str, Floats],
    frame: pd.DataFrame,
    items: ItemSpace,
    max_positives: int,
) -> dict[str, Any]:
    """Return the paired seven-day comparison of the challenger's vectors with the live space's.

    Both spaces have seen the label week, so only their difference means something.
    """
    task = read_pair_task(settings, anchor, partition, frame, items, max_positives)
    return compare_representations(task, vectors, items.vectors(), "live", settings.seed)
