"""Serve the trained cold-start network: plain vectors for ranking, virtual encoder inputs for lookups.

Shape legend: U users, I items, D width, F encoder columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from training.arrays import Floats, Indices
from training.consumers.cold_start.dataset import ColdStartData
from training.consumers.cold_start.linear import LinearStart
from training.consumers.cold_start.network import ColdStartModelConfig, ColdStartNetwork, InnerProductRanker, UserTokens
from training.consumers.cold_start.rows import all_tokens
from training.consumers.cold_start.zero_shot import ZeroShotConfig
from training.contracts.errors import AttuneError
from training.data.vocabulary import Vocabulary
from training.ranking.saved import SpaceModel

CHUNK = 2048


@dataclass(frozen=True, kw_only=True)
class StartWeights:
    """How much the linear start counts beside the ranking tower, for users without and with history."""

    new: float = 0.0
    old: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ColdStartModel(SpaceModel):
    """A trained network with the ids that its rows belong to.

    Attributes:
        values: Attribute values of the rows of the attribute table.
        network: Trained, in eval mode.
        token_widths: A and P, the attribute and pick tokens that the network was built for.
        num_columns: F, the encoder columns that it was built for.
        history_length: Newest behaviours read.
        fill: Whether users without behaviour are ranked by the virtual one; else by their attributes alone.
        start: The linear scores that the ranking tower is added to.
        start_weights: How much they count.
    """

    consumer: ClassVar[str] = "cold_start"
    values: Vocabulary
    network: ColdStartNetwork
    token_widths: tuple[int, int]
    num_columns: int
    history_length: int
    fill: bool
    start: LinearStart
    start_weights: StartWeights

    def user_vectors(self, data: ColdStartData, users: Indices | None = None) -> Floats:
        """Return float32[U, D + 1 + C + 1] of users, new ones filled if so chosen; `data` is over the own ids.

        The first D + 1 columns are the ranking tower's, the others the linear start's, times its weight. Where `users`,
        int64 rows, are given, the tower's columns of the others are zero.

        Raises:
            AttuneError: The ranking tower is the MLP, whose score is no inner product, or the ids are others.
        """
        ranker = self.network.ranker
        if not isinstance(ranker, InnerProductRanker):
            raise AttuneError("expected the inner_product ranking tower, found mlp; train with ranker inner_product")
        rows = np.arange(data.pairs.num_users) if users is None else users
        chunks = self._chunks(data, rows)
        parts = [ranker.user_vectors(*self.network.pooled(tokens, fill=self.fill)) for tokens in chunks]
        own = np.zeros((data.pairs.num_users, self.network.config.width), np.float32)
        own[rows] = _joined(parts, self.network.config.width)
        weights_U = np.where(data.has_history, self.start_weights.old, self.start_weights.new).astype(np.float32)
        start = self.start.user_vectors(data) * weights_U[:, None]
        return np.column_stack([own, np.ones(len(own), np.float32), start])

    def item_vectors(self, items: Vocabulary | None = None) -> Floats:
        """Return float32[I, D + 1 + C + 1]: the own items, or those asked for, new ones below every known one."""
        table, bias = self.network.targets.weight.detach().numpy(), self.network.item_bias.detach().numpy()
        own = np.column_stack([table, bias, self.start.item_vectors()]).astype(np.float32)
        if items is None:
            return own
        unknown = np.zeros((1, own.shape[1]), np.float32)
        unknown[0, table.shape[1]] = bias.min(initial=0.0) - 1.0
        return np.vstack([own, unknown])[self.items.encode(items.ids, unknown="ignore")]

    def virtual_columns(self, data: ColdStartData, users: Indices | None = None) -> Floats:
        """Return float32[U, F]: the encoder's behaviour columns, scaled, that such users would have; others are noise.

        Args:
            data: Users over the own ids.
            users: int64[n], whose to return, as float32[n, F]; None takes all.

        Raises:
            AttuneError: The model has no zero-shot tower.
        """
        if self.network.zero_shot is None:
            raise AttuneError("expected a model with a zero-shot tower, found one of mode base; train mode full")
        rows = np.arange(data.pairs.num_users) if users is None else users
        return _joined([self.network.fill(tokens)[1] for tokens in self._chunks(data, rows)], self.num_columns)

    def _chunks(self, data: ColdStartData, users: Indices) -> Iterator[UserTokens]:
        if data.items != self.items or data.values != self.values:
            raise AttuneError("expected data over the model's items and attribute values, found others; build it so")
        histories = data.pairs.histories()
        for start in range(0, len(users), CHUNK):
            yield all_tokens(data, users[start : start + CHUNK], self.history_length, histories)

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; equal models give equal bytes."""
        self.start.save(folder / "start.npz")
        self.values.save(folder / "values.json")
        described = {
            "network": asdict(self.network.config),
            "token_widths": list(self.token_widths),
            "num_columns": self.num_columns,
            "history_length": self.history_length,
            "fill": self.fill,
            "start_weights": asdict(self.start_weights),
        }
        self._save(folder, self.network, described)

    @classmethod
    def load(cls, folder: Path) -> ColdStartModel:
        """Return the model that `save` wrote.

        Raises:
            MissingArtefact: No model lies there.
        """
        (described, weights, _), own = cls._read(folder)
        values = Vocabulary.load(folder / "values.json")
        widths, num_columns = tuple(described["token_widths"]), described["num_columns"]
        sizes = len(values), len(own["items"]), sum(widths), num_columns
        network = ColdStartNetwork(_config(described["network"]), *sizes)
        network.load_state_dict(weights)
        return cls(
            **own,
            values=values,
            network=network.eval(),
            token_widths=(widths[0], widths[1]),
            num_columns=num_columns,
            history_length=described["history_length"],
            fill=described["fill"],
            start=LinearStart.load(folder / "start.npz"),
            start_weights=StartWeights(**described["start_weights"]),
        )


def _config(values: dict[str, Any]) -> ColdStartModelConfig:
    tower = values["zero_shot"]
    if tower is not None:
        tower = ZeroShotConfig(**{**tower, "encoder": tuple(tower["encoder"]), "decoder": tuple(tower["decoder"])})
    return ColdStartModelConfig(**{**values, "zero_shot": tower, "hidden": tuple(values["hidden"])})


def _joined(parts: list[torch.Tensor], width: int) -> Floats:
    whole = torch.cat(parts) if parts else torch.zeros(0, width)
    return whole.detach().numpy().astype(np.float32)
