"""Tuning by validation NDCG."""

import numpy as np
import scipy.sparse as sp

from training.evaluation.peers.log import OuterScorer, TrainingLog
from training.evaluation.peers.table import PEERS, Peer, tune

LOG = TrainingLog(2, 4, np.array([0, 1, 0]), np.array([0, 0, 1]), np.arange(3))
HELD_OUT = sp.csr_matrix(np.array([[0, 0, 0, 1], [0, 0, 1, 0]], np.float32))


def first(log, *, item):
    return OuterScorer(10 * np.eye(4, dtype=np.float32)[item] - np.arange(4), np.arange(2, dtype=np.float32))


def test_best_point_comes_first_and_ties_keep_the_grids_order():
    trials = tune(Peer("toy", first, ({"item": 1}, {"item": 3}, {"item": 2})), LOG, HELD_OUT, k=1)
    assert [t.params["item"] for t in trials] == [3, 2, 1]
    assert [t.ndcg for t in trials] == [0.5, 0.5, 0.0]


def test_every_peer_fits_its_whole_grid_and_scores_both_sides():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 20)) < 0.3)
    log = TrainingLog(30, 20, users, items, np.arange(len(users)))
    for peer in PEERS:
        params = peer.grid[0] | ({"sweeps": 2} if peer.name == "BPR" else {})
        scorer = peer.fit(log, **params)
        assert np.isfinite(scorer.item_scores(np.arange(30))).all(), peer.name
        assert scorer.user_scores(np.arange(5)).shape == (5, 30), peer.name


def test_grids_name_parameters_that_their_peer_takes():
    names = [peer.name for peer in PEERS]
    assert len(set(names)) == len(names) == 9
    for peer in PEERS:
        assert len(peer.grid) == len({tuple(sorted(point.items())) for point in peer.grid})
