"""Peers on a toy problem."""

import numpy as np
import pandas as pd
import pytest

from training.bench.quality.peer_rows import peer_rows
from training.bench.shared.cache import Cache
from training.bench.shared.logs import PublicLog
from training.bench.shared.splits import first_interactions
from training.bench.shared.tasks import make_problem
from training.evaluation.peers.counts import popularity, recent_popularity
from training.evaluation.peers.log import OuterScorer
from training.evaluation.peers.table import Peer


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    rows = [(int(rng.integers(20)), int(rng.integers(30)), n) for n in range(400)]
    frame = first_interactions(pd.DataFrame(rows, columns=["user_id", "item_id", "occurred_at"]))
    return make_problem(PublicLog("toy", frame, None, "0" * 12), "temporal")


def random_order(log, *, seed):
    rng = np.random.default_rng(seed)
    return OuterScorer(rng.random(log.num_items, np.float32), rng.random(log.num_users, np.float32))


PEERS = (
    Peer("popular", popularity, ({},)),
    Peer("recent", recent_popularity, ({"share": 0.1}, {"share": 0.5})),
    Peer("random", random_order, ({},), seeded=True),
)


def test_rows_state_what_was_chosen_and_how_often_it_was_fitted(problem, tmp_path):
    popular, recent, chance = peer_rows(problem, Cache(tmp_path), (1, 2, 3), PEERS)
    assert recent.params in ({"share": 0.1}, {"share": 0.5})
    assert (popular.seeds, chance.seeds) == ((1,), (1, 2, 3))
    assert chance.seed_spread["recall@20"] > 0
    assert popular.metrics["n"] == problem.test.held_out.getnnz(axis=1).astype(bool).sum()
    assert "target_ndcg@20" in popular.metrics


def test_second_run_fits_nothing(problem, tmp_path):
    first = peer_rows(problem, Cache(tmp_path), (1, 2), PEERS)

    def refuse(log, **params):
        raise AssertionError("kept results are not computed again")

    again = [Peer(peer.name, refuse, peer.grid, peer.seeded) for peer in PEERS]
    assert peer_rows(problem, Cache(tmp_path), (1, 2), again) == first
    with pytest.raises(AssertionError, match="not computed again"):
        peer_rows(problem, Cache(tmp_path), (1, 3), again)
