from __future__ import annotations

import pytest
import torch

from training.ranking.history_encoders import AGGREGATORS, ENCODERS, HistoryConfig, HistoryEncoder

WIDTH = 8
KINDS = [(encoder, aggregator) for encoder in ENCODERS for aggregator in AGGREGATORS]


def _encoder(encoder: str, aggregator: str = "last") -> HistoryEncoder:
    torch.manual_seed(0)
    config = HistoryConfig(encoder=encoder, aggregator=aggregator, max_length=10, dropout=0.0)  # type: ignore[arg-type]
    return HistoryEncoder(config, WIDTH).eval()


def _batch(length: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    mask = torch.zeros(3, length, dtype=torch.bool)
    mask[0, :4], mask[1, :2] = True, True
    return torch.randn(3, length, WIDTH), mask


@pytest.mark.parametrize(("encoder", "aggregator"), KINDS)
def test_padding_changes_nothing(encoder: str, aggregator: str) -> None:
    model = _encoder(encoder, aggregator)
    items, mask = _batch()
    longer = torch.cat([items, torch.full((3, 3, WIDTH), 7.0)], dim=1)
    longer_mask = torch.cat([mask, torch.zeros(3, 3, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(model(items, mask), model(longer, longer_mask))


@pytest.mark.parametrize(("encoder", "aggregator"), KINDS)
def test_a_user_without_items_gets_zeros_and_gradients_are_finite(encoder: str, aggregator: str) -> None:
    model = _encoder(encoder, aggregator)
    items, mask = _batch()
    items.requires_grad_()
    users = model(items, mask)
    assert users.shape == (3, WIDTH)
    torch.testing.assert_close(users[2], torch.zeros(WIDTH))
    users.square().sum().backward()
    assert bool(torch.isfinite(items.grad).all())


@pytest.mark.parametrize("encoder", ["gru", "cnn", "self_attention"])
def test_positions_see_only_their_past(encoder: str) -> None:
    model = _encoder(encoder).sequence
    items = torch.randn(1, 6, WIDTH)
    changed = items.clone()
    changed[0, 4:] += torch.randn(2, WIDTH)
    torch.testing.assert_close(model(items)[0, :4], model(changed)[0, :4])
    assert not torch.allclose(model(items)[0, 4], model(changed)[0, 4])


def test_the_mean_forgets_order_and_recency_does_not() -> None:
    items, mask = _batch()
    swapped = items.clone()
    swapped[0, [0, 3]] = items[0, [3, 0]]
    torch.testing.assert_close(_encoder("mean")(items, mask), _encoder("mean")(swapped, mask))
    assert not torch.allclose(_encoder("recency_mean")(items, mask), _encoder("recency_mean")(swapped, mask))


def test_recency_weights_by_hand() -> None:
    model = HistoryEncoder(HistoryConfig(encoder="recency_mean", decay=0.5), WIDTH)
    weights = model.pooling_weights(torch.tensor([[True, True, False]]))
    torch.testing.assert_close(weights, torch.tensor([[1 / 3, 2 / 3, 0.0]]))


def test_maximum_and_last_by_hand() -> None:
    states = torch.tensor([[[1.0, 5.0], [3.0, 2.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    from training.ranking.history_encoders import Aggregator

    torch.testing.assert_close(Aggregator("max", 2)(states, mask), torch.tensor([[3.0, 5.0]]))
    torch.testing.assert_close(Aggregator("last", 2)(states, mask), torch.tensor([[3.0, 2.0]]))
    torch.testing.assert_close(Aggregator("mean", 2)(states, mask), torch.tensor([[2.0, 3.5]]))
    torch.testing.assert_close(Aggregator("attention", 2)(states, mask), torch.tensor([[2.0, 3.5]]))
