"""The vectors that samplers read, and draws as they are seen again."""

import torch

from training.samplers.negative import CurrentVectors, Negatives, Positives, scores

BATCH = Positives(torch.tensor([0, 1]), torch.tensor([2, 0]))


def test_the_score_of_several_interests_is_their_largest():
    users = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    vectors = torch.tensor([[[3.0, 1.0], [-1.0, 2.0]]])
    assert scores(users, vectors).tolist() == [[3.0, 2.0]]
    assert scores(users[:, 0], vectors).tolist() == [[3.0, -1.0]]
    assert CurrentVectors(users, vectors[0]).catalogue_scores().tolist() == [[3.0, 2.0]]


def test_without_layers_the_items_are_the_one_layer():
    items = torch.arange(6.0).reshape(3, 2)
    assert torch.equal(CurrentVectors(torch.zeros(2, 2), items).layers, items[None])


def test_detached_vectors_carry_no_gradient():
    items = torch.zeros(2, 3, 2, requires_grad=True)
    fixed = CurrentVectors(torch.zeros(2, 2), items.mean(0), items).detached()
    assert not fixed.items_ID.requires_grad
    assert not fixed.layers.requires_grad


def test_a_draw_without_a_mixture_is_its_items():
    current = CurrentVectors(torch.zeros(2, 2), torch.arange(6.0).reshape(3, 2))
    drawn = Negatives(current, BATCH, torch.tensor([[[1]], [[2]]]), lambda: torch.zeros(2, 1))
    assert drawn.item_idx.tolist() == [[1], [2]]
    assert drawn.vectors.tolist() == [[[2.0, 3.0]], [[4.0, 5.0]]]


def test_probabilities_are_computed_once_and_only_when_read():
    asked = []
    current = CurrentVectors(torch.zeros(2, 2), torch.zeros(3, 2))
    drawn = Negatives(current, BATCH, torch.zeros(2, 1, 1, dtype=torch.int64), lambda: asked.append(1) or torch.ones(1))
    assert asked == []
    assert drawn.log_p is drawn.log_p
    assert asked == [1]


def test_a_mixture_has_no_items_and_averages_its_layers():
    layers = torch.tensor([[[0.0], [2.0], [4.0]], [[0.0], [6.0], [8.0]]])
    current = CurrentVectors(torch.zeros(2, 1), layers.mean(0), layers)
    picked, share = torch.tensor([[[1, 0]], [[1, 2]]]), torch.tensor([[[0.5, 0.0]], [[0.0, 0.25]]])
    drawn = Negatives(current, BATCH, picked, lambda: torch.zeros(2, 1), share)
    assert drawn.item_idx is None
    assert drawn.vectors.tolist() == [[[(3.0 + 0.0) / 2]], [[(2.0 + 6.0) / 2]]]
