"""Ranking on held-out pairs, and the loss with fixed negatives."""

import math

import numpy as np
import pytest
import torch

from tests.training.sampler_search.world import NUM_ITEMS, NUM_USERS, halves, log, make_model
from training.sampler_search.ranking_model import RankingVectors
from training.sampler_search.validation import HeldOut, ValidationLoss


def test_a_model_that_knows_the_tastes_ranks_held_out_items_first():
    known, held_out = halves()
    model = make_model()
    taste = torch.nn.functional.one_hot(torch.arange(NUM_USERS) % 2, 4).float()
    model.user_table.data = taste
    model.item_table.data = torch.nn.functional.one_hot(torch.arange(NUM_ITEMS) // 10, 4).float()
    validation = HeldOut(known.matrix(), held_out.matrix())
    assert validation.judge(model, 4).recall(4).mean() == 1
    assert validation.ndcg(model) > 0.5


def test_without_held_out_pairs_the_figure_is_zero():
    known, _ = halves()
    assert HeldOut(known.matrix(), log([], []).matrix()).ndcg(make_model()) == 0


def test_the_loss_of_equal_scores_is_the_log_of_how_many_there_are():
    known, held_out = halves()
    loss = ValidationLoss(known, held_out, 50, num_negatives=7, seed=0)
    batch = loss.batch()
    vectors = RankingVectors(torch.zeros(50, 2), torch.ones(NUM_ITEMS, 2))
    assert float(loss(batch, vectors)) == pytest.approx(math.log(8))


def test_batches_hold_held_out_pairs_and_negatives_are_neither_known_nor_held_out():
    known, held_out = halves()
    loss = ValidationLoss(known, held_out, 30, num_negatives=20, seed=0)
    batch = loss.batch()
    pairs = set(zip(held_out.user_idx.tolist(), held_out.item_idx.tolist(), strict=True))
    assert set(zip(batch.user_idx_B.tolist(), batch.item_idx_B.tolist(), strict=True)) <= pairs
    drawn = loss.sampler.proposal.draw(batch.user_idx_B, 20, loss.generator)
    met = np.asarray((known.matrix() + held_out.matrix()).todense()) > 0
    assert not met[batch.user_idx_B.numpy()[:, None], drawn.numpy()].any()


def test_sharpness_multiplies_scores():
    known, held_out = halves()
    vectors = RankingVectors(torch.randn(30, 2), torch.randn(NUM_ITEMS, 2))
    losses = []
    for sharpness, scale in ((3.0, 1.0), (1.0, 3.0)):
        loss = ValidationLoss(known, held_out, 30, 5, seed=2, sharpness=sharpness)
        losses.append(loss(loss.batch(), RankingVectors(vectors.users_BD * scale, vectors.items_ID)))
    assert torch.allclose(*losses)
