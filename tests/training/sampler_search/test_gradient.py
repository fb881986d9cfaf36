"""Gradients of the weights: the naive by formula, the second-order against brute force; and the collapse."""

import pytest
import torch

from tests.training.sampler_search.world import TRAINING, halves, make_model
from training.sampler_search.gradient import (
    GradientConfig,
    GradientSearch,
    preconditioner,
    training_gradient,
    unrolled_gradient,
    vectors_at,
    virtual_step,
)
from training.sampler_search.sampled_ranking import SampledTraining, pair_scores
from training.sampler_search.validation import ValidationLoss
from training.samplers.candidates import samplers_of

NAMES = ("uniform", "popularity^1", "hardest of 8")
ALPHA = torch.tensor([0.3, -0.2, 0.5])


def _training(names=NAMES):
    known, _ = halves()
    training = SampledTraining(make_model(), known, samplers_of(known, names), TRAINING, 1)
    training.epoch(torch.full((len(names),), 1 / len(names)))
    return training


def _batch(training):
    positives = next(training.batches())
    current = training.current(positives)
    return positives, current, training.draw(positives, current)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_training_gradient_is_sigma_p_times_the_excess_score_over_t(temperature):
    training = _training()
    positives, current, drawn = _batch(training)
    alpha = ALPHA.clone().requires_grad_()
    weights = torch.softmax(alpha / temperature, 0)
    found = training_gradient(weights, alpha, current, positives, drawn)
    positive, negative = pair_scores(current, positives, drawn)
    mixed = weights @ negative
    slope = torch.sigmoid(mixed - positive)
    expected = (slope * weights[:, None] * (negative - mixed) / temperature).mean(1)
    assert torch.allclose(found, expected, atol=1e-6)
    assert float(found.sum()) == pytest.approx(0, abs=1e-6)


def test_the_training_gradient_agrees_with_a_numerical_one():
    training = _training()
    positives, current, drawn = _batch(training)
    positive, negative = (side.detach().double() for side in pair_scores(current, positives, drawn))

    def loss(alpha):
        return torch.nn.functional.softplus(torch.softmax(alpha, 0) @ negative - positive).mean()

    alpha = ALPHA.clone().requires_grad_()
    found = training_gradient(torch.softmax(alpha, 0), alpha, current, positives, drawn)
    for place in range(3):
        shift = torch.zeros(3).double()
        shift[place] = 1e-5
        numerical = (loss(ALPHA.double() + shift) - loss(ALPHA.double() - shift)) / 2e-5
        assert float(found[place]) == pytest.approx(float(numerical), abs=1e-6)


def test_the_second_order_gradient_agrees_with_taking_the_step_for_every_alpha():
    """Brute force: the validation loss after one preconditioned step, differenced over each alpha."""
    training = _training()
    known, held_out = halves()
    positives, _, drawn = _batch(training)
    validation = ValidationLoss(known, held_out, 200, 5, seed=3)
    batch = validation.batch()
    model, rates = training.model, preconditioner(training)
    values = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def judged(parameters):
        validation.generator.manual_seed(5)
        return validation(batch, vectors_at(model, parameters, batch.user_idx_B, None))

    def stepped(alpha):
        loss = training.loss(training.current(positives), positives, drawn, torch.softmax(alpha, 0))
        grads = torch.autograd.grad(loss, list(model.parameters()))
        return {name: values[name] - rates[name] * grad for (name, grad) in zip(values, grads, strict=True)}

    alpha = ALPHA.clone().requires_grad_()
    moved = {name: value.requires_grad_() for name, value in stepped(ALPHA).items()}
    slopes = torch.autograd.grad(judged(moved), list(moved.values()))
    direction = {name: rates[name] * slope for name, slope in zip(moved, slopes, strict=True)}
    found = unrolled_gradient(model, lambda: torch.softmax(alpha, 0), alpha, positives, drawn, direction)
    for place in range(3):
        shift = torch.zeros(3)
        shift[place] = 0.05
        with torch.no_grad():
            pair = []
            for sign in (1, -1):
                with torch.enable_grad():
                    parameters = stepped(ALPHA + sign * shift)
                pair.append(judged(parameters))
        numerical = float(pair[0] - pair[1]) / 0.1
        assert float(found[place]) == pytest.approx(numerical, abs=2e-4 + 0.1 * abs(numerical))


def test_a_virtual_step_is_the_rate_over_the_running_scale():
    training = _training()
    loss = training.loss(*_in_order(training), torch.full((3,), 1 / 3))
    training.optimizer.zero_grad()
    loss.backward()
    rates, steps = preconditioner(training), virtual_step(training)
    table = training.model.item_table
    scale = (
        training.optimizer.state[table]["exp_avg_sq"] / (1 - 0.999 ** float(training.optimizer.state[table]["step"]))
    ).sqrt()
    assert torch.allclose(rates["item_table"], TRAINING.learning_rate / (scale + 1e-8))
    assert torch.allclose(steps["item_table"], rates["item_table"] * table.grad)


def _in_order(training):
    positives, current, drawn = _batch(training)
    return current, positives, drawn


def test_the_naive_form_collapses_to_the_easiest_sampler():
    search = GradientSearch(_training(), NAMES, GradientConfig(learning_rate=0.3, every=1), None)
    search.advance(8)
    weights = dict(zip(search.names, search.weights(), strict=True))
    positives, current, drawn = _batch(search.training)
    _, negative = pair_scores(current, positives, drawn)
    easiest = NAMES[int(negative.mean(1).argmin())]
    assert max(weights, key=weights.get) == easiest
    assert weights["hardest of 8"] < 0.05


def test_the_second_order_form_does_not_follow_the_training_loss():
    known, held_out = halves()
    config = GradientConfig(learning_rate=0.3, every=1, validation_negatives=8)
    naive = GradientSearch(_training(), NAMES, config, None)
    second = GradientSearch(_training(), NAMES, config, ValidationLoss(known, held_out, 64, 8, seed=0))
    for search in (naive, second):
        search.advance(8)
    assert second.weights()[2] > naive.weights()[2]


def test_dropping_a_sampler_shares_its_weight_among_the_others():
    search = GradientSearch(_training(), NAMES, GradientConfig(), None)
    search._restart(ALPHA.clone())
    before = search.weights()
    search.drop(1)
    assert search.names == ["uniform", "hardest of 8"]
    assert [sampler.name for sampler in search.training.samplers] == search.names
    assert search.weights().tolist() == pytest.approx((before[[0, 2]] / before[[0, 2]].sum()).tolist())
    search.advance(1)
    assert search.model() is search.training.model
