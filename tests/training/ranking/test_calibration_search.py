from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration
from training.ranking.calibration_search import (
    PerUserScores,
    TaskMetric,
    ValidationCut,
    best_of,
    calibrate,
    likeliest,
    relative_gain,
    with_z_share,
)
from training.ranking.cut import Side

DAY = 86_400


def _popular_wins(num_users: int = 40, num_items: int = 50) -> ValidationCut:
    """Everyone's next item is the one that all took lately; inner products say nothing; active users come back."""
    old = [(user, user % 20, 0) for user in range(num_users) for _ in range(user + 1)]
    recent = [(user, 30, 100 * DAY) for user in range(num_users)]
    columns = np.array(sorted(old, key=lambda row: row[2]) + recent, np.int64)
    pairs = PairLog(
        user_idx=columns[:, 0],
        item_idx=columns[:, 1],
        occurred_at=columns[:, 2],
        num_users=num_users,
        num_items=num_items,
        as_of=101 * DAY,
    )
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(num_users, num_items)).astype(np.float32))
    bought = sp.csr_matrix((np.ones(num_users), (np.arange(num_users), np.full(num_users, 30))), (num_users, num_items))
    active = sp.csr_matrix((np.ones(20), (np.repeat(np.arange(10), 2), np.tile([38, 39], 10))), (num_items, num_users))
    keys = np.arange(num_users, dtype=np.int64)
    recommend = Side(keys, noise, bought)
    target = Side(keys[:10], noise.T[:10].contiguous(), active)
    return ValidationCut(pairs, np.zeros(num_items), recommend, target)


@pytest.mark.parametrize(("told", "misled", "expected"), [(5, 0, 0.5), (3, 0, 0.0), (5, 5, 0.0)])
def test_z_is_let_in_where_more_than_two_standard_errors_of_users_gain(told: int, misled: int, expected: float) -> None:
    """History tells half of the users the next item; z tells it to some others, and misleads some of the former."""
    world = _popular_wins()
    history, z = torch.zeros(40, 50), torch.zeros(40, 50)
    history[20:, 30], z[:told, 30], z[20 : 20 + misled, 30] = 6.0, 12.0, -72.0

    def judged(trial: Calibration) -> ValidationCut:
        scores = world.recommend.scores_KC + history + trial.z_share * z
        return replace(world, recommend=replace(world.recommend, scores_KC=scores))

    assert with_z_share(Calibration(), judged, ("recommendation",)).z_share == expected


def test_noise_is_turned_down_and_what_is_popular_now_up() -> None:
    judged = _popular_wins()
    chosen = calibrate(Calibration(gamma=1.4), [judged])
    before, after = judged.figures(Calibration(gamma=1.4)), judged.figures(chosen)
    assert after["ndcg"] > before["ndcg"]
    assert after["target_ndcg"] > before["target_ndcg"]
    assert sum(chosen.item_weights[1:]) > 0 or chosen.gamma < 1.4
    assert chosen.user_weights[0] > 0


def test_user_terms_are_chosen_by_targeting_alone() -> None:
    judged = _popular_wins()
    blind = replace(judged, target=replace(judged.target, keys=judged.target.keys[:0], scores_KC=torch.zeros(0, 40)))
    chosen = calibrate(Calibration(), [blind])
    assert not any(chosen.user_weights)


def test_what_no_task_judges_stays() -> None:
    judged, start = _popular_wins(), Calibration(gamma=1.4, user_weights=(1.0, 0.0, 0.0, 0.0, 0.5))
    assert likeliest(start, [judged], ()) == start
    targeting = calibrate(start, [judged], ("targeting",))
    assert (targeting.gamma, targeting.item_weights) == (start.gamma, start.item_weights)


def test_users_are_weighed_in_units_of_the_score_that_recommendation_gets() -> None:
    """Twice the score's weight is met by twice the user weights: the ranking of users stays as targeting fitted it."""
    judged = _popular_wins()
    plain, doubled = (likeliest(Calibration(gamma=gamma), [judged], ("targeting",)) for gamma in (1.0, 2.0))
    np.testing.assert_allclose(doubled.user_weights, 2 * np.array(plain.user_weights))
    np.testing.assert_array_equal(judged.judge_users(plain), judged.judge_users(doubled))


def test_a_change_within_the_noise_is_not_taken() -> None:
    rng = np.random.default_rng(0)
    base = rng.random((30, 2)) + 0.5

    def judge(trial: Calibration) -> np.ndarray:
        return base + (rng.normal(0, 0.3, base.shape) - 0.05 if trial.gamma != 0.7 else 0.0)

    assert best_of(Calibration(), [Calibration(gamma=0.3)], [TaskMetric(judge, 30)]) == Calibration()


def test_the_larger_of_two_gains_wins_over_all_cuts() -> None:
    def judge_near(trial: Calibration) -> np.ndarray:
        return np.full((20, 2), 1.0 + {0.7: 0.0, 0.3: 0.3, 0.5: 0.1}[trial.gamma])

    def judge_far(trial: Calibration) -> np.ndarray:
        return np.full((20, 2), 1.0 + {0.7: 0.0, 0.3: -0.4, 0.5: 0.1}[trial.gamma])

    changes = [Calibration(gamma=0.3), Calibration(gamma=0.5)]
    assert best_of(Calibration(), changes, [TaskMetric(judge_near, 20)]).gamma == 0.3
    assert best_of(Calibration(), changes, [TaskMetric(judge_near, 20), TaskMetric(judge_far, 20)]).gamma == 0.5


@pytest.mark.parametrize("gamma", [0.2, 1.4])
def test_figures_are_means_of_both_sides(gamma: float) -> None:
    judged = _popular_wins()
    figures = judged.figures(Calibration(gamma=gamma))
    assert figures["recall"] == pytest.approx(judged.judge_items(Calibration(gamma=gamma))[:, 0].mean())
    assert figures["target_ndcg"] == pytest.approx(judged.judge_users(Calibration(gamma=gamma))[:, 1].mean())


def _uneven(gain: float, spread: float) -> np.ndarray:
    """Return figures of 100 keys that are better than 1 by `gain` on average, some more and some less."""
    return np.repeat(1.0 + gain + spread * np.tile([-1.0, 1.0], 50)[:, None], 2, axis=1)


def test_many_keys_of_few_users_are_no_more_certain_than_the_users() -> None:
    def judge(trial: Calibration) -> np.ndarray:
        return _uneven(0.1, 0.5) if trial.gamma == 1.0 else _uneven(0.0, 0.0)

    trials = [Calibration(gamma=1.0)]
    assert best_of(Calibration(), trials, [TaskMetric(judge, 100)]).gamma == 1.0
    assert best_of(Calibration(), trials, [TaskMetric(judge, 5)]).gamma == Calibration().gamma


def test_of_values_as_good_as_the_best_the_plainest_is_taken() -> None:
    def judge(trial: Calibration) -> np.ndarray:
        return _uneven({0.7: 0.0, 0.1: 0.02, 0.3: 0.2, 2.0: 0.2}[trial.gamma], 0.5 * (trial.gamma != 0.7))

    trials = [Calibration(gamma=value) for value in (0.1, 0.3, 2.0)]
    assert best_of(Calibration(), trials, [TaskMetric(judge, 100)]).gamma == 0.3


def test_the_users_held_out_are_counted_once() -> None:
    assert _popular_wins().num_users == 40


def test_a_gain_is_relative_to_each_column_s_mean_and_its_error_to_the_units() -> None:
    reference = PerUserScores(np.array([[1.0, 2.0], [3.0, 2.0]]), 2)
    trial = PerUserScores(np.array([[1.4, 2.0], [3.4, 2.8]]), 2)
    gain, error = relative_gain([trial], [reference])
    # per key: (.4 / 2 + 0) / 2 = .1 and (.4 / 2 + .8 / 2) / 2 = .3
    assert gain == pytest.approx(0.2)
    assert error == pytest.approx(0.1 / np.sqrt(2))
    assert relative_gain([trial], [replace(reference, num_units=1)])[1] == pytest.approx(0.1)
    nothing = PerUserScores(np.zeros((0, 2)), 1)
    assert relative_gain([trial, nothing], [reference, nothing]) == (gain, error)
