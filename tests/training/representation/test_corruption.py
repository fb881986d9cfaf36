import pytest
import torch

from training.data.input_layout import Block, InputLayout
from training.representation.corruption import Corruption, CorruptionConfig

LAYOUT = InputLayout(
    (
        Block("taste", "vector", 0, 3, ("behaviour", "window")),
        Block("country", "one_hot", 3, 5, ("demographics",)),
        Block("bare", "dense", 5, 6, ()),
    ),
    (0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
)
X = torch.tensor([[5.0, 6, 7, 0, 1, 8]]).repeat(4000, 1)


def corrupt(seed: int = 1, **config: float) -> torch.Tensor:
    chosen = CorruptionConfig(**{"block_low": 0.2, "block_high": 0.2, "noise": 0.0, **config})
    return Corruption(LAYOUT, chosen, torch.Generator().manual_seed(seed))(X)


def test_blocks_vanish_whole_to_the_value_of_absence():
    damaged = corrupt()
    for row in damaged.unique(dim=0).tolist():
        assert row[:3] in ([5, 6, 7], [0, 0, 0])
        assert row[3:5] in ([0, 1], [1, 0])
        assert row[5] == 8, "a column without a group is never dropped"


def test_they_vanish_as_often_as_stated():
    """Taste has two groups, so it stays with probability 0.8 squared; the country has one."""
    damaged = corrupt()
    assert (damaged[:, 0] == 0).float().mean().item() == pytest.approx(1 - 0.8**2, abs=0.03)
    assert (damaged[:, 3] == 1).float().mean().item() == pytest.approx(0.2, abs=0.03)


def test_noise_has_its_deviation_and_spares_what_is_dropped():
    damaged = corrupt(noise=0.5)
    kept = damaged[:, 0] != 0
    assert (damaged[kept, 0] - 5).std().item() == pytest.approx(0.5, abs=0.05)
    assert (damaged[~kept, 1] == 0).all()


def test_the_clean_input_is_left_alone():
    before = X.clone()
    corrupt(noise=0.5)
    assert torch.equal(X, before)


def test_the_same_generator_state_gives_the_same_damage():
    assert torch.equal(corrupt(seed=4, noise=0.3), corrupt(seed=4, noise=0.3))
    assert not torch.equal(corrupt(seed=4, noise=0.3), corrupt(seed=5, noise=0.3))


def test_a_batch_larger_than_the_noise_pool_still_gets_noise(monkeypatch):
    monkeypatch.setattr("training.representation.corruption._NOISE_POOL", 100)
    damaged = corrupt(noise=0.5, block_low=0.0, block_high=0.0)
    assert (damaged - X).std().item() == pytest.approx(0.5, abs=0.05)
