"""Write a trained network and what describes it into a model folder, and read both back: equal models, equal bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.contracts.errors import MissingArtefact
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
