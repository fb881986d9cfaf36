from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from tests.training.ranking.world import two_tastes
from training.consumers.multi_interest.network import MultiInterestConfig
from training.consumers.multi_interest.train import MultiInterestTrainingConfig
from training.consumers.multi_interest.trial import InterestChoice, InterestTrial, gain_over, is_better, train_choice
from training.evaluation.metrics import VectorScorer, evaluate
from training.ranking.cut import CUT, Cut

DATA = two_tastes()
CUT_ = Cut.at(DATA.pairs(), 0.8)
CONFIG = MultiInterestTrainingConfig(
    towers=MultiInterestConfig(num_interests=2, width=4, hidden=4), block_users=32, learning_rate=1e-2
)
CHOICE = InterestChoice(num_interests=2, decay=0.9, repel_weight=0.1)


def _trial(*, with_z: bool = False) -> InterestTrial:
    return InterestTrial(CUT_, DATA.content_vectors, DATA.z_UZ if with_z else None, CONFIG, seed=3)


def test_a_choice_puts_itself_into_the_training() -> None:
    applied = replace(CHOICE, num_interests=5, decay=0.5, repel_weight=0.7).applied_to(CONFIG)
    assert (applied.towers.num_interests, applied.towers.decay, applied.repel_weight) == (5, 0.5, 0.7)
    assert applied.towers.width == 4


def test_the_best_epoch_is_kept_and_every_epoch_is_told() -> None:
    trial = _trial()
    start = trial.untrained(CHOICE)
    best = trial.trained(CHOICE, max_epochs=4, patience=4)
    assert gain_over(best.found_K2, start.found_K2)[0] >= 0
    curve = best.curves["validation_ndcg"]
    assert len(curve) == len(best.curves["win_share_1"]) == 4
    epoch = best.choice.num_epochs
    told = curve[epoch - 1] if epoch else float(start.found_K2[:, 1].mean())
    assert told == pytest.approx(float(best.found_K2[:, 1].mean()))


def test_every_epoch_is_logged_with_its_validation(caplog: pytest.LogCaptureFixture) -> None:
    logger = "training.consumers.multi_interest.trial"
    with caplog.at_level(logging.INFO, logger=logger):
        best = _trial().trained(CHOICE, max_epochs=2, patience=2)
    told = [f"epoch {n + 1}: validation NDCG {v:.4f}" for n, v in enumerate(best.curves["validation_ndcg"])]
    own = [record.message for record in caplog.records if record.name == logger]
    assert [message.split("0.1, ")[1] for message in own[:2]] == told


def test_a_choice_of_epochs_can_be_trained_again_exactly() -> None:
    trial = _trial()
    best = trial.trained(CHOICE, max_epochs=2, patience=2)
    again = trial.exactly(best.choice)
    for name, value in best.network.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name].numpy(), value.numpy())


def test_what_is_judged_on_the_cut_is_what_is_served() -> None:
    trial = _trial(with_z=True)
    candidate = trial.untrained(CHOICE)
    users, items = trial.vectors(candidate.network, candidate.choice.calibration)
    assert users.shape == (60, 2, 6)
    scores = evaluate(VectorScorer(users, items), CUT_.known.matrix(), CUT_.later.matrix(), CUT)
    np.testing.assert_allclose(candidate.found_K2[:, 1], scores.recommendation.ndcg(CUT), rtol=1e-6)
    assert scores.targeting is not None
    target = trial.judged(candidate.network, candidate.choice.calibration).judge_users(candidate.choice.calibration)
    np.testing.assert_allclose(target[:, 1], scores.targeting.ndcg(CUT), rtol=1e-6)


def test_z_is_let_in_only_where_it_gains() -> None:
    candidate = _trial().untrained(CHOICE)
    silent = InterestTrial(CUT_, DATA.content_vectors, np.zeros_like(DATA.z_UZ), CONFIG, seed=3)
    for trial in (_trial(), silent):
        assert trial.calibrated(candidate.network, CHOICE).calibration.z_share == 0.0
    telling = _trial(with_z=True)
    chosen = telling.calibrated(candidate.network, CHOICE).calibration
    without = replace(chosen, z_share=0.0)
    found, reference = (telling.judged(candidate.network, c).judge_items(c) for c in (chosen, without))
    assert chosen == without or is_better(found, reference)


def test_a_gain_counts_when_it_exceeds_its_error() -> None:
    reference = np.full((100, 2), 0.5)
    noise = np.random.default_rng(0).normal(size=(100, 1)) * 0.1
    assert gain_over(reference + 0.05, reference) == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-12))
    assert is_better(reference + 0.05 + noise, reference)
    assert not is_better(reference - noise.mean() + noise, reference)
    assert not is_better(reference, reference)
    assert gain_over(np.zeros((0, 2)), np.zeros((0, 2))) == (0.0, 0.0)


def test_the_whole_log_is_trained_for_the_epochs_chosen() -> None:
    chosen = replace(CHOICE, num_epochs=3)
    network, curves = train_choice(chosen, CONFIG, DATA.pairs(), DATA.content_vectors, seed=3)
    assert len(curves["loss"]) == len(curves["mean_pairwise_cosine"]) == 3
    assert network.config.num_interests == 2
    assert train_choice(CHOICE, CONFIG, DATA.pairs(), DATA.content_vectors, seed=3)[1] == {}
