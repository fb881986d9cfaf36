"""Choose which earlier item space a renewal is turned onto, and by which rotation of each modality.

Content vectors turn back exactly; collaborative ones keep what the newer log says of them, on the older axes.

Shape legend: I items, D item vector columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from training.arrays import Doubles, Floats, Indices
from training.contracts.columns import MODALITIES
from training.representation.alignment import rotation_onto

if TYPE_CHECKING:
    from training.representation.item_space import ItemSpace

MIN_SHARE = 0.5
"""Share of the events on items that both know above which an item space is near enough to be turned onto."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """How new item vectors are brought onto older axes.

    Attributes:
        onto: The item space that they are turned onto.
        basis: Whose axes that one has.
        event_share: Share of the events that are on items which both know.
        rotations: float64 [D, D] of each modality.
        residuals: Of each modality, the share of the older vectors' squared size, by events, that is not met.
    """

    onto: str
    basis: str
    event_share: float
    rotations: dict[str, Doubles]
    residuals: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rotations as JSON values."""
        return {
            "onto": self.onto,
            "basis": self.basis,
            "event_share": round(self.event_share, 4),
            "residuals": {name: round(value, 4) for name, value in self.residuals.items()},
        }


def choose_turn(
    item_ids: Sequence[str],
    vectors: dict[str, Floats],
    events_I: Indices,
    references: Sequence[ItemSpace],
) -> Turn | None:
    """Return the turn onto the first reference that holds the items of `MIN_SHARE` of the events, else onto the best.

    Args:
        item_ids: External ids, sorted.
        vectors: float32 [I, D] of each modality, of the width of the references.
        events_I: Events on each item.
        references: None of them: there is nothing to turn onto, and no turn.
    """
    best: Turn | None = None
    for reference in references:
        if reference.content.shape[1] != vectors[MODALITIES[0]].shape[1]:
            continue
        found = _turn(item_ids, vectors, events_I, reference)
        if found.event_share >= MIN_SHARE:
            return found
        best = found if best is None or found.event_share > best.event_share else best
    return best


def _turn(
    item_ids: Sequence[str],
    vectors: dict[str, Floats],
    events_I: Indices,
    reference: ItemSpace,
) -> Turn:
    rows = pd.Index(reference.item_ids).get_indexer(pd.Index(item_ids))
    both, weight = np.flatnonzero(rows >= 0), events_I.astype(np.float64)
    rotations, residuals = {}, {}
    for name in MODALITIES:
        new, old = vectors[name][both], getattr(reference, name)[rows[both]]
        rotations[name] = rotation_onto(new, old, weight[both])
        told = weight[both, None] * (np.abs(new).sum(axis=1, keepdims=True) > 0)
        error = (told * np.square(new @ rotations[name] - old)).sum()
        residuals[name] = float(error / max((told * np.square(old)).sum(), 1e-12))
    share = float(weight[both].sum() / max(weight.sum(), 1.0))
    return Turn(
        onto=reference.item_space_id,
        basis=reference.basis,
        event_share=share,
        rotations=rotations,
        residuals=residuals,
    )
