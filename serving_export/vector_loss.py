"""Measure what vectors lose when they travel in fewer bits; the manifest of a snapshot says it to those who ask so."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving_export.vector_bytes import NUMBERS, Number, reduce, restore
from training.arrays import Floats
from training.evaluation.drift import neighbour_overlap

MEASURED_ROWS = 10_000
NEIGHBOURS, NEIGHBOUR_QUERIES = 20, 200
_TINY = 1e-12


def measure_losses(vectors_UZ: Floats) -> dict[str, dict[str, Any]]:
    """Return the loss of each reduced number type; empty for no vectors."""
    if not len(vectors_UZ):
        return {}
    sample = np.sort(np.random.default_rng(0).permutation(len(vectors_UZ))[:MEASURED_ROWS])
    whole = np.asarray(vectors_UZ[sample], np.float32)
    return {number: _loss(whole, number) for number in NUMBERS if number != "float32"}


def _loss(whole_nZ: Floats, number: Number) -> dict[str, Any]:
    """Return the loss over some rows.

    Returns:
        `num_rows`; `cosine_min` of a row with itself; `relative_error_mean` and `relative_error_max`, the length of
        the error over that of the row; `neighbours_kept@20`, the share of a row's nearest by cosine that stay.
    """
    reduced_nZ = restore(*reduce(whole_nZ, number))
    whole, reduced = whole_nZ.astype(np.float64), reduced_nZ.astype(np.float64)
    lengths, own = np.linalg.norm(whole, axis=1), np.linalg.norm(reduced, axis=1)
    cosines = np.where(lengths > 0, (whole * reduced).sum(axis=1) / np.maximum(lengths * own, _TINY), 1.0)
    errors = np.linalg.norm(whole - reduced, axis=1) / np.maximum(lengths, _TINY)
    kept = neighbour_overlap(whole_nZ, reduced_nZ, NEIGHBOURS, NEIGHBOUR_QUERIES, seed=0)
    return {
        "num_rows": len(whole),
        "cosine_min": round(float(cosines.min()), 6),
        "relative_error_mean": round(float(errors.mean()), 6),
        "relative_error_max": round(float(errors.max()), 6),
        f"neighbours_kept@{NEIGHBOURS}": round(kept, 4),
    }
