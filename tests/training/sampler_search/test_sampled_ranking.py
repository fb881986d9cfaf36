"""The loop on sampled negatives: its losses by hand, its determinism, its stopping."""

import pytest
import torch
from torch.nn import functional as F

from tests.training.sampler_search.world import TRAINING, halves, make_model
from training.sampler_search.sampled_ranking import SampledTraining, fit_sampled, mixed_loss, pair_scores
from training.sampler_search.validation import HeldOut
from training.samplers.candidates import samplers_of
from training.samplers.negative import CurrentVectors, Negatives, Positives

POSITIVE, NEGATIVES = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 2.0], [3.0, -1.0]])


def _training(names=("uniform",), seed=1):
    known, _ = halves()
    return SampledTraining(make_model(), known, samplers_of(known, names), TRAINING, seed)


def test_mixing_instances_scores_the_mixture():
    loss = mixed_loss(POSITIVE, NEGATIVES, torch.tensor([0.25, 0.75]))
    assert torch.allclose(loss, F.softplus(torch.tensor([2.25 - 1, -0.25 - 0])).mean())


def test_instances_bound_losses_from_below_and_agree_with_them_on_one_sampler():
    for weights in ([0.5, 0.5], [0.1, 0.9]):
        pair = [mixed_loss(POSITIVE, NEGATIVES, torch.tensor(weights), how) for how in ("instance", "loss")]
        assert pair[0] < pair[1]
    pair = [mixed_loss(POSITIVE, NEGATIVES, torch.tensor([0.0, 1.0]), how) for how in ("instance", "loss")]
    assert torch.allclose(*pair)


def test_the_score_of_a_mixed_vector_is_the_mixed_score():
    users, items = torch.randn(2, 3), torch.randn(4, 3)
    current = CurrentVectors(users, items)
    batch = Positives(torch.tensor([0, 1]), torch.tensor([0, 1]))
    drawn = [
        Negatives(current, batch, torch.tensor([[[i]], [[j]]]), lambda: torch.zeros(2, 1)) for i, j in ((2, 3), (3, 2))
    ]
    positive, negative = pair_scores(current, batch, drawn)
    weights = torch.tensor([0.3, 0.7])
    vectors = 0.3 * items[[2, 3]] + 0.7 * items[[3, 2]]
    assert torch.allclose(weights @ negative, (users * vectors).sum(1), atol=1e-6)
    assert torch.allclose(positive, (users * items[:2]).sum(1))


def test_an_epoch_deals_every_pair_once():
    training = _training()
    dealt = [
        pair
        for batch in training.batches()
        for pair in zip(batch.user_idx_B.tolist(), batch.item_idx_B.tolist(), strict=True)
    ]
    pairs = training.pairs
    assert sorted(dealt) == sorted(zip(pairs.user_idx.tolist(), pairs.item_idx.tolist(), strict=True))


def test_equal_seeds_train_equal_weights_and_others_do_not():
    tables = []
    for seed in (1, 1, 2):
        training = _training(("hardest of 8", "variance memory of 16"), seed)
        training.epoch(torch.tensor([0.5, 0.5]))
        tables.append(training.model.item_table.detach())
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])


def test_training_learns_the_two_tastes_and_keeps_the_best_validation():
    known, held_out = halves()
    training = _training()
    validation = HeldOut(known.matrix(), held_out.matrix())
    fitted = fit_sampled(training, torch.ones(1), validation.ndcg)
    assert fitted.value == max(fitted.curve) == pytest.approx(validation.ndcg(training.model))
    assert fitted.value > fitted.curve[0] + 0.2
    assert fitted.num_epochs in (2, 4, 6)


def test_training_stops_when_validation_does_not_rise():
    training = _training()
    values = iter([0.5, 0.4, 0.3, 0.2, 0.1])
    fitted = fit_sampled(training, torch.ones(1), lambda model: next(values))
    assert fitted.curve == (0.5, 0.4, 0.3)
    assert fitted.num_epochs == 0
    assert torch.equal(training.model.item_table, make_model().item_table)
