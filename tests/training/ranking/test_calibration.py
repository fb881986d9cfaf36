from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from tests.training.ranking.world import two_tastes
from training.data.pair_log import PairLog
from training.ranking.calibration import Calibration

PAIRS = two_tastes().pairs()


def test_item_terms_by_hand() -> None:
    learned = np.zeros(40)
    lifetime = Calibration().item_terms(PAIRS, learned)
    np.testing.assert_allclose(lifetime, np.log(PAIRS.item_counts() + 0.5))
    recent = Calibration(item_weights=(0, 0, 2.0, 0, 0, 0)).item_terms(PAIRS, learned)
    np.testing.assert_allclose(recent, 2 * np.log(PAIRS.item_counts(0.1) + 0.5))
    raised = Calibration(learned_weight=0.5).item_terms(PAIRS, learned + 4)
    np.testing.assert_allclose(raised, lifetime + 2)


def test_user_terms_by_hand() -> None:
    active = Calibration(user_weights=(1.0, 0, 0, 0, 0)).user_terms(PAIRS)
    np.testing.assert_allclose(active, np.log(PAIRS.user_counts() + 0.5))
    lately = Calibration(user_weights=(0, 0, 0, 1.0, 0)).user_terms(PAIRS)
    np.testing.assert_allclose(lately, np.log(PAIRS.user_counts(0.05) + 0.5))
    present = Calibration(user_weights=(0, 0, 0, 0, 2.0)).user_terms(PAIRS)
    np.testing.assert_allclose(present, -2 * np.log1p(PAIRS.user_age_days()))


def test_longer_histories_say_more_and_an_empty_one_as_much_as_one_item() -> None:
    pairs = PairLog.of(np.array([0, 0, 0, 0, 1]), np.arange(5), np.arange(5), 3, 5)
    np.testing.assert_allclose(Calibration(activity_power=0.5).user_lengths(pairs), [2**0.5, 0.5**0.5, 0.5**0.5])
    np.testing.assert_array_equal(Calibration().user_lengths(pairs), 1.0)


def test_a_calibration_is_the_same_after_json() -> None:
    calibration = Calibration(gamma=0.3, user_weights=(1.0, 0.5, 0.0, 0.0, 2.0))
    assert Calibration(**json.loads(json.dumps(asdict(calibration)))) == calibration
