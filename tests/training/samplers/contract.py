"""What every negative sampler must do; a sampler's tests inherit `SamplerContract` and say how to build it.

Five users over six items: user 0 has interacted with none, user 4 all but item 5, and the others a few.
"""

import numpy as np
import pytest
import torch

from training.samplers.negative import CurrentVectors, Positives
from training.samplers.seen import Seen

NUM_USERS, NUM_ITEMS, WIDTH = 5, 6, 3
USER_IDX = np.array([1, 1, 2, 3, 3, 3, 4, 4, 4, 4, 4])
ITEM_IDX = np.array([0, 1, 2, 0, 3, 5, 0, 1, 2, 3, 4])
KNOWN = set(zip(USER_IDX.tolist(), ITEM_IDX.tolist(), strict=True))


def seen():
    return Seen(USER_IDX, ITEM_IDX, NUM_USERS, NUM_ITEMS)


def counts():
    return torch.bincount(torch.from_numpy(ITEM_IDX), minlength=NUM_ITEMS)


def positives():
    return Positives(torch.from_numpy(USER_IDX), torch.from_numpy(ITEM_IDX))


def positives_of(user, num):
    """The same pair over and over: many independent draws at once."""
    item = {1: 0, 2: 2, 3: 0, 4: 0}[user]
    return Positives(torch.full((num,), user), torch.full((num,), item))


def vectors(batch, seed=0, interests=None):
    generator = torch.Generator().manual_seed(seed)
    shape = (NUM_USERS, WIDTH) if interests is None else (NUM_USERS, interests, WIDTH)
    users = torch.randn(shape, generator=generator)
    items = torch.randn(NUM_ITEMS, WIDTH, generator=generator).requires_grad_()
    return CurrentVectors(users[batch.user_idx_B], items)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


class SamplerContract:
    returns_items = True

    def sampler(self):
        raise NotImplementedError

    def drawn(self, batch=None, num=4, seed=0, **more):
        batch = batch or positives()
        return self.sampler().draw(batch, vectors(batch, **more), num, rng(seed))

    def test_shapes_and_types(self):
        drawn = self.drawn()
        assert drawn.vectors.shape == (11, 4, WIDTH)
        assert drawn.log_p.shape == (11, 4)
        assert drawn.vectors.dtype == drawn.log_p.dtype == torch.float32
        assert (drawn.item_idx is not None) is self.returns_items
        assert drawn.picked_BNL.shape == (11, 4, 1)

    def test_gradients_reach_the_items_and_are_finite_while_probabilities_have_none(self):
        drawn = self.drawn()
        drawn.vectors.sum().backward()
        grad = drawn.current.items_ID.grad
        assert torch.isfinite(grad).all()
        assert grad.abs().sum() > 0
        assert not drawn.log_p.requires_grad

    def test_the_same_seed_draws_the_same(self):
        first, second, other = self.drawn(seed=3), self.drawn(seed=3), self.drawn(seed=4)
        assert torch.equal(first.vectors, second.vectors)
        assert torch.equal(first.log_p, second.log_p)
        assert not torch.equal(first.vectors, other.vectors)

    def test_no_known_pair_is_drawn(self):
        drawn = self.drawn(num=40)
        picked = drawn.picked_BNL[:, :, 0].tolist()
        pairs = {(user, item) for user, items in zip(USER_IDX.tolist(), picked, strict=True) for item in items}
        assert not pairs & KNOWN

    def test_probabilities_are_at_most_one(self):
        assert (self.drawn().log_p <= 1e-5).all()

    def test_the_same_draw_can_be_seen_by_other_vectors(self):
        drawn = self.drawn()
        assert torch.equal(drawn.embed(drawn.current), drawn.vectors)
        doubled = CurrentVectors(drawn.current.users_BD, drawn.current.items_ID * 2)
        assert torch.allclose(drawn.embed(doubled), drawn.vectors * 2)

    def test_users_with_several_interests_are_served(self):
        drawn = self.drawn(interests=2)
        assert drawn.vectors.shape == (11, 4, WIDTH)
        assert torch.isfinite(drawn.log_p).all()


class StatedFrequencyContract(SamplerContract):
    """For samplers that state the probability of the item itself, given the vectors."""

    @pytest.mark.parametrize("user", [1, 3])
    def test_items_come_up_as_often_as_stated(self, user):
        batch = positives_of(user, 4000)
        drawn = self.drawn(batch, num=2)
        picked, stated = drawn.item_idx.flatten(), drawn.log_p.exp().flatten()
        free = [item for item in range(NUM_ITEMS) if (user, item) not in KNOWN]
        total = 0.0
        for item in free:
            rows = picked == item
            if rows.any():
                probability = float(stated[rows][0])
                assert torch.allclose(stated[rows], stated[rows][:1])
                assert float(rows.float().mean()) == pytest.approx(probability, abs=0.025)
                total += probability
        assert total == pytest.approx(1, abs=0.02)
