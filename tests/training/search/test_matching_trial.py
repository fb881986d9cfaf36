from __future__ import annotations

import numpy as np

from tests.training.search.matching_world import two_tastes
from training.engine.matching import MatchingTrainingConfig
from training.search.matching_trial import Choice, Trial, gain
from training.search.matching_validation import Cut


def _trial(with_z: bool = True) -> Trial:
    data = two_tastes()
    return Trial(Cut.at(data.pairs(), 0.8), data.z_UZ if with_z else None, MatchingTrainingConfig(), 8, seed=1)


def test_gain_is_the_mean_ratio_of_the_four_figures() -> None:
    reference = {"recall": 1.0, "ndcg": 2.0, "target_recall": 4.0, "target_ndcg": 0.5}
    figures = {"recall": 2.0, "ndcg": 2.0, "target_recall": 4.0, "target_ndcg": 0.5}
    assert gain(figures, reference) == 1.25


def test_every_step_leaves_its_figures_and_a_choice_among_what_was_offered() -> None:
    trial = _trial()
    trial.choose_width((4, 8))
    trial.choose_epochs(2, patience=2)
    trial.choose_z_share()
    assert trial.choice.width in (4, 8)
    assert trial.choice.num_epochs <= 2
    assert {"start_width_4", "start_width_8", "z_share_0.1", "chosen"} <= set(trial.figures)
    assert len(trial.curves()["validation_gain"]) >= 1


def test_no_epoch_is_kept_when_none_is_better_than_the_start() -> None:
    trial = _trial()
    trial.choose_width((4,))
    trial.choose_epochs(0, patience=1)
    assert trial.choice.num_epochs == 0
    assert trial.curves() == {}


def test_without_earlier_vectors_z_stays_out() -> None:
    trial = _trial(with_z=False)
    trial.choose_width((4,))
    trial.choose_z_share()
    assert trial.choice.calibration.z_share == 0.0


def test_the_own_choice_trained_again_gives_the_same_vectors() -> None:
    trial = _trial()
    trial.choose_width((4,))
    trial.choose_epochs(2, patience=2)
    for own, again in zip(trial.vectors(), trial.vectors_of(trial.choice), strict=True):
        np.testing.assert_allclose(own, again, atol=1e-6)


def test_a_rival_of_another_width_is_trained_on_the_same_cut() -> None:
    users, items = _trial().vectors_of(Choice(width=12, num_epochs=1))
    assert users.shape[1] == items.shape[1] == 14
    assert np.isfinite(users).all()
