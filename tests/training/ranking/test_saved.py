from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from training.contracts.errors import MissingArtefact, SpaceMismatch
from training.data.vocabulary import Vocabulary
from training.ranking.saved import SpaceModel, read_network, save_network


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    save_network(tmp_path, network, {"space_id": "s"}, item_terms=np.arange(2.0))
    saved = read_network(tmp_path, "matching")
    assert saved.described == {"space_id": "s"}
    assert list(saved.arrays) == ["item_terms"]
    np.testing.assert_array_equal(saved.arrays["item_terms"], [0.0, 1.0])
    again = torch.nn.Linear(3, 2)
    again.load_state_dict(saved.weights)
    assert torch.equal(again(torch.ones(3)), network(torch.ones(3)))


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 2)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_network(tmp_path / name, network, {"facts": {}}, z_map=np.eye(2))
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match=f"expected a matching model at {tmp_path}, found none"):
        read_network(tmp_path, "matching")


@dataclass(frozen=True, kw_only=True)
class Plain(SpaceModel):
    """A model of nothing but a layer."""

    consumer: ClassVar[str] = "plain"
    layer: torch.nn.Linear

    def save(self, folder: Path) -> None:
        self._save(folder, self.layer, {"width": 2})

    @classmethod
    def load(cls, folder: Path) -> Plain:
        saved, own = cls._read(folder)
        layer = torch.nn.Linear(3, saved.described["width"])
        layer.load_state_dict(saved.weights)
        return cls(**own, layer=layer)


def test_a_model_keeps_its_space_items_and_account(tmp_path: Path) -> None:
    model = Plain(space_id="s", items=Vocabulary(["a", "b"], "item"), facts={"k": 1}, layer=torch.nn.Linear(3, 2))
    model.save(tmp_path)
    again = Plain.load(tmp_path)
    assert (again.space_id, again.items, again.facts) == ("s", model.items, {"k": 1})
    assert torch.equal(again.layer.weight, model.layer.weight)


def test_a_model_names_itself_where_it_refuses_another_space(tmp_path: Path) -> None:
    model = Plain(space_id="s", items=Vocabulary([], "item"), facts={}, layer=torch.nn.Linear(3, 2))
    model.refuse_other_space("s")
    with pytest.raises(SpaceMismatch, match="the plain model"):
        model.refuse_other_space("t")
    with pytest.raises(MissingArtefact, match="expected a plain model"):
        Plain.load(tmp_path)
