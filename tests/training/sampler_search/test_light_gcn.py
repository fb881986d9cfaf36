"""Smoothing over a graph of two users and three items, by hand."""

import numpy as np
import pytest
import torch

from training.data.pair_log import PairLog
from training.sampler_search.light_gcn import LightGCN, normalised_graph

PAIRS = PairLog(
    user_idx=np.array([0, 0, 1]),
    item_idx=np.array([0, 1, 1]),
    occurred_at=np.arange(3),
    num_users=2,
    num_items=3,
    as_of=3,
)


def test_edges_weigh_one_over_the_root_of_both_degrees():
    graph = torch.from_numpy(normalised_graph(PAIRS).toarray()).float()
    assert torch.equal(graph, graph.T)
    assert graph[0, 2] == pytest.approx(1 / np.sqrt(2 * 1))
    assert graph[0, 3] == pytest.approx(1 / np.sqrt(2 * 2))
    assert graph[1, 3] == pytest.approx(1 / np.sqrt(1 * 2))
    assert int((graph > 0).sum()) == 6


def test_vectors_are_the_mean_over_hops():
    torch.manual_seed(0)
    model = LightGCN(PAIRS, 2, num_hops=2)
    free, graph = model.node_table.detach(), torch.from_numpy(normalised_graph(PAIRS).toarray()).float()
    expected = (free + graph @ free + graph @ graph @ free) / 3
    vectors = model.all_vectors(2)
    assert torch.allclose(vectors.users_BD, expected[:2])
    assert torch.allclose(vectors.items_ID, expected[2:])


def test_layers_average_to_the_items_and_an_item_without_pairs_keeps_a_share_of_its_own():
    model = LightGCN(PAIRS, 2, num_hops=1)
    vectors = model(torch.tensor([0]))
    assert vectors.item_layers_LID.shape == (2, 3, 2)
    assert torch.allclose(vectors.item_layers_LID.mean(0), vectors.items_ID)
    assert torch.allclose(vectors.items_ID[2], model.node_table[4] / 2)


def test_gradients_reach_neighbours():
    model = LightGCN(PAIRS, 2, num_hops=1)
    model(torch.tensor([1])).users_BD.sum().backward()
    touched = model.node_table.grad.abs().sum(1) > 0
    assert touched.tolist() == [False, True, False, True, False]
