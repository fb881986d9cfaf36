"""Averages over seeds."""

import json

import numpy as np
import pytest

from training.bench.shared.rows import Row, average, paired_error
from training.evaluation.metrics import RankingScores, TwoSidedScores


def scores(*hits, targeting=True):
    side = RankingScores(np.arange(len(hits)), np.array(hits, bool)[:, None], np.ones(len(hits), np.int64))
    return TwoSidedScores(side, side if targeting else None)


def test_mean_and_spread_over_seeds():
    means, spread = average([scores(1, 1), scores(1, 0)], k=1)
    assert means["recall@1"] == means["target_ndcg@1"] == pytest.approx(0.75)
    assert spread["recall@1"] == pytest.approx(np.std([1, 0.5], ddof=1))
    assert means["se_recall"] == means["se_ndcg"] == pytest.approx((0 + 0.5 / np.sqrt(2)) / 2)


def test_one_seed_has_no_spread():
    _, spread = average([scores(1, 0)], k=1)
    assert set(spread.values()) == {0.0}


def test_without_targeting_there_are_no_such_columns():
    means, _ = average([scores(1, targeting=False)], k=1)
    assert not [name for name in means if name.startswith("target")]


def test_rows_survive_json():
    row = Row(
        data="d",
        protocol="loo",
        model="m",
        family="peer",
        params={"a": 1},
        seeds=(1, 2),
        metrics={"n": 1.0},
        seed_spread={"n": 0.0},
        fit_seconds=0.1,
        tune_seconds=2.0,
    )
    assert Row.from_dict(json.loads(row.to_json())) == row


def test_a_lead_that_every_seed_shares_has_no_error():
    assert paired_error([0.5, 0.7], [0.4, 0.6]) == pytest.approx(0, abs=1e-12)
    assert paired_error([0.5, 0.7], [0.4, 0.4]) == pytest.approx(np.std([0.1, 0.3], ddof=1) / np.sqrt(2))
    assert paired_error([0.5], [0.4]) == 0.0
