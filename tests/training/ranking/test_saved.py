from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.contracts.errors import MissingArtefact
from training.ranking.saved import read_network, save_network


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
