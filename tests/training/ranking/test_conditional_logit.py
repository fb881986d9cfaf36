from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from training.ranking.conditional_logit import LEAST_SCORE_WEIGHT, ChoiceLikelihood, fit_weights
from training.ranking.cut import Side


def _side(scores: np.ndarray, chosen: list[list[int]]) -> Side:
    rows = np.repeat(np.arange(len(chosen)), [len(one) for one in chosen])
    truth = sp.csr_matrix((np.ones(len(rows)), (rows, np.concatenate(chosen))), scores.shape)
    return Side(np.arange(len(chosen), dtype=np.int64), torch.from_numpy(scores.astype(np.float32)), truth)


def _random(num_keys: int = 30, num_candidates: int = 12) -> tuple[Side, np.ndarray]:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(num_keys, num_candidates))
    scores[np.arange(num_keys), rng.integers(3, num_candidates, num_keys)] = -np.inf
    chosen = [list(rng.choice(3, rng.integers(1, 3), replace=False)) for _ in range(num_keys)]
    return _side(scores, chosen), rng.normal(size=(num_candidates, 2))


def test_two_candidates_are_a_logistic_regression() -> None:
    """Three of four keys choose the one whose feature is larger by 1: its log-odds are ln 3."""
    side = _side(np.zeros((400, 2)), [[1] if key % 4 else [0] for key in range(400)])
    likelihood = ChoiceLikelihood(side, np.array([[0.0], [1.0]]))
    fitted = fit_weights([likelihood], np.array([0.7, 0.0]))
    assert fitted[1] == pytest.approx(np.log(3), abs=0.02)
    assert fitted[0] == pytest.approx(0.7)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert likelihood(torch.from_numpy(fitted).float())[0] == pytest.approx(entropy, abs=0.003)


def test_value_and_derivatives_agree_with_the_definition() -> None:
    side, features = _random()
    likelihood = ChoiceLikelihood(side, features)
    weights = torch.tensor([0.8, -0.3, 0.5], requires_grad=True)
    logits = torch.from_numpy(features.astype(np.float32)) @ weights[1:] + side.scores_KC.clamp(min=-1e3) * weights[0]
    chance = logits.log_softmax(dim=1)
    chosen = torch.from_numpy((side.truth.toarray() > 0).astype(np.float32))
    share = chosen / chosen.sum(1, keepdim=True)
    expected = -(share * chance).sum(1).mean()
    value, gradient, hessian = likelihood(weights.detach())
    assert value == pytest.approx(float(expected.detach()), abs=1e-5)
    np.testing.assert_allclose(gradient, torch.autograd.grad(expected, weights)[0], atol=1e-5)
    for place in range(3):
        nudge = torch.zeros(3)
        nudge[place] = 1e-2
        slope = (likelihood(weights.detach() + nudge)[1] - likelihood(weights.detach() - nudge)[1]) / 2e-2
        np.testing.assert_allclose(hessian[place], slope, atol=2e-3)


def test_keys_in_several_pieces_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    side, features = _random()
    whole = ChoiceLikelihood(side, features)(torch.tensor([0.8, -0.3, 0.5]))
    monkeypatch.setattr("training.ranking.conditional_logit.CACHED_SCORES", 7 * 12)
    pieces = ChoiceLikelihood(side, features)(torch.tensor([0.8, -0.3, 0.5]))
    assert whole[0] == pytest.approx(pieces[0], abs=1e-6)
    for one, other in zip(whole[1:], pieces[1:], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_weights_that_made_the_choices_are_found() -> None:
    rng = np.random.default_rng(1)
    scores, features = rng.normal(size=(3000, 20)), rng.normal(size=(20, 2))
    logits = 1.3 * scores + features @ np.array([0.6, -0.9])
    chosen = [[int(np.argmax(row))] for row in logits + rng.gumbel(size=logits.shape)]
    fitted = fit_weights([ChoiceLikelihood(_side(scores, chosen), features)], np.zeros(3))
    np.testing.assert_allclose(fitted, [1.3, 0.6, -0.9], atol=0.1)


def test_few_keys_stay_near_the_prior() -> None:
    side = _side(np.zeros((1, 2)), [[1]])
    fitted = fit_weights([ChoiceLikelihood(side, np.array([[0.0], [1.0]]))], np.array([0.7, 0.0]))
    assert 0 < fitted[1] < 1.5


def test_a_score_that_misleads_keeps_its_least_weight() -> None:
    scores = np.tile([0.0, 5.0], (200, 1))
    fitted = fit_weights([ChoiceLikelihood(_side(scores, [[0]] * 200), np.zeros((2, 1)))], np.array([0.7, 0.0]))
    assert fitted[0] == pytest.approx(LEAST_SCORE_WEIGHT)


def test_every_side_counts_alike_however_many_keys_it_has() -> None:
    up, down = _side(np.zeros((900, 2)), [[1]] * 900), _side(np.zeros((100, 2)), [[0]] * 100)
    features = np.array([[0.0], [1.0]])
    sides = [ChoiceLikelihood(side, features) for side in (up, down)]
    assert fit_weights(sides, np.array([0.7, 0.0]))[1] == pytest.approx(0.0, abs=1e-4)
