from __future__ import annotations

import math

import pytest
import torch

from training.losses.repel import REPEL_FORMS, cosine_hinge, gaussian_potential, pairwise_cosines, repel

RIGHT_ANGLES = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]])
"""One user, three vectors: cosines 0, and twice the root of one half."""
HALF = math.sqrt(0.5)


def test_cosines_of_every_pair_do_not_depend_on_lengths() -> None:
    torch.testing.assert_close(pairwise_cosines(RIGHT_ANGLES), torch.tensor([[0.0, HALF, HALF]]))


def test_the_hinge_counts_what_exceeds_delta() -> None:
    assert float(cosine_hinge(RIGHT_ANGLES, 0.5)) == pytest.approx(2 * (HALF - 0.5) / 3)
    assert float(cosine_hinge(RIGHT_ANGLES, 0.8)) == 0.0
    assert float(cosine_hinge(RIGHT_ANGLES, -1.0)) == pytest.approx((3 + 2 * HALF) / 3)


def test_the_potential_by_hand() -> None:
    distances = [2.0, 2 - 2 * HALF, 2 - 2 * HALF]
    expected = math.log(sum(math.exp(-3 * d) for d in distances) / 3)
    assert float(gaussian_potential(RIGHT_ANGLES, 3.0)) == pytest.approx(expected, abs=1e-6)


def test_vectors_that_agree_cost_most() -> None:
    same = torch.ones(2, 2, 4)
    assert float(gaussian_potential(same, 2.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(cosine_hinge(same, 0.5)) == pytest.approx(0.5)


@pytest.mark.parametrize("form", REPEL_FORMS)
def test_a_single_vector_has_nothing_to_be_pushed_from(form: str) -> None:
    users = torch.randn(3, 1, 4, requires_grad=True)
    loss = repel(form, users, 0.0, 2.0)
    assert loss.item() == 0.0
    loss.backward()
    assert not users.grad.any()


@pytest.mark.parametrize("form", REPEL_FORMS)
def test_a_step_against_the_gradient_moves_vectors_apart(form: str) -> None:
    torch.manual_seed(0)
    users = torch.nn.functional.normalize(torch.ones(5, 3, 8) + 0.3 * torch.randn(5, 3, 8), dim=2).requires_grad_()
    repel(form, users, 0.2, 2.0).backward()  # type: ignore[arg-type, no-untyped-call]
    assert users.grad is not None
    assert bool(torch.isfinite(users.grad).all())
    moved = users.detach() - 0.5 * users.grad
    assert float(pairwise_cosines(moved).mean()) < float(pairwise_cosines(users.detach()).mean())
