"""Write a trained model of one space into a folder, and read it back: equal models, equal bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.contracts.errors import MissingArtefact, require_space
from training.data.vocabulary import Vocabulary
from training.storage import write_json

WEIGHT = "weight."
"""Before the names of the network's weights among the arrays."""


class SavedNetwork(NamedTuple):
    """What a model folder holds.

    Attributes:
        described: The JSON object.
        weights: For `load_state_dict`.
        arrays: The other arrays.
    """

    described: dict[str, Any]
    weights: dict[str, Tensor]
    arrays: dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class SpaceModel:
    """What every consumer's model has, however it scores.

    Attributes:
        consumer: Whose model it is, as the jobs name it.
        space_id: The space whose vectors it reads; it reads no other.
        items: Ids of the item rows.
        facts: JSON-able account of how it was chosen and trained.
    """

    consumer: ClassVar[str]
    space_id: str
    items: Vocabulary
    facts: dict[str, Any]

    def refuse_other_space(self, space_id: str) -> None:
        """Raise SpaceMismatch unless `space_id` is the model's."""
        require_space(self.space_id, space_id, self.consumer)

    def _save(self, folder: Path, network: nn.Module, described: dict[str, Any], **arrays: npt.NDArray[Any]) -> None:
        """Write the fields of this class beside a network, arrays and a JSON object."""
        self.items.save(folder / "items.json")
        save_network(folder, network, described | {"space_id": self.space_id, "facts": self.facts}, **arrays)

    @classmethod
    def _read(cls, folder: Path) -> tuple[SavedNetwork, dict[str, Any]]:
        """Return what `_save` wrote, and the fields of this class.

        Raises:
            MissingArtefact: No model lies there.
        """
        saved = read_network(folder, cls.consumer)
        own = {name: saved.described[name] for name in ("space_id", "facts")}
        return saved, own | {"items": Vocabulary.load(folder / "items.json")}


def save_network(folder: Path, network: nn.Module, described: dict[str, Any], **arrays: npt.NDArray[Any]) -> None:
    """Write weights, arrays and a JSON object into an existing folder."""
    weights: dict[str, Any] = {WEIGHT + name: value.numpy() for name, value in sorted(network.state_dict().items())}
    np.savez(folder / "arrays.npz", **(weights | arrays))
    write_json(described, folder / "model.json")


def read_network(folder: Path, consumer: str) -> SavedNetwork:
    """Return what `save_network` wrote.

    Raises:
        MissingArtefact: No model lies there.
    """
    if not (folder / "model.json").exists():
        raise MissingArtefact(f"expected a {consumer} model at {folder}, found none; run train_consumer first")
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz") as found:
        arrays = {name: found[name] for name in found.files}
    weights = {name.removeprefix(WEIGHT): arrays.pop(name) for name in list(arrays) if name.startswith(WEIGHT)}
    return SavedNetwork(described, {name: torch.from_numpy(value) for name, value in weights.items()}, arrays)
