"""Turn a trained two-sided model and a data set into what is published."""

from __future__ import annotations

from typing import Protocol

from training.arrays import Floats
from training.consumers.base import ConsumerSides
from training.ranking.dataset import RankingDataset


class TwoSidedModel(Protocol):
    """A trained model of one space that turns a data set into vectors."""

    @property
    def space_id(self) -> str:
        """The space whose vectors it reads."""
        ...

    def user_vectors(self, data: RankingDataset) -> Floats:
        """Return float32[U, D], or float32[U, K, D], row by row of `data.users`."""
        ...

    def item_vectors(self, data: RankingDataset | None = None) -> Floats:
        """Return float32[I, D], row by row of `data.items`."""
        ...


def sides_of(model: TwoSidedModel, data: RankingDataset) -> ConsumerSides:
    """Return both sides of a model on a data set.

    Raises:
        SpaceMismatch: The data holds vectors of another space than the model reads.
    """
    return ConsumerSides(
        space_id=model.space_id,
        users=data.users,
        items=data.items,
        user_vectors=model.user_vectors(data),
        item_vectors_ID=model.item_vectors(data),
        user_idx=data.user_idx,
        item_idx=data.item_idx,
    )
