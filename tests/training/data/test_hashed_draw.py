import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.hashed_draw import hashed_draw

IDS = [f"u{n:05d}" for n in range(20_000)]


def test_numbers_are_spread_evenly():
    drawn = hashed_draw(IDS, "early stopping", 17)
    counts, _ = np.histogram(drawn, bins=10, range=(0, 1))
    assert counts.min() > 1850
    assert counts.max() < 2150


def test_ends_and_seeds_do_not_depend_on_each_other():
    first = hashed_draw(IDS, "early stopping", 17) < 0.1
    for other in (hashed_draw(IDS, "anchors", 17) < 0.1, hashed_draw(IDS, "early stopping", 18) < 0.1):
        assert 130 < (first & other).sum() < 270, "a tenth of a tenth of 20,000"


def test_the_values_are_those_of_every_machine():
    """Another draw would validate warm encoders on users whom they were trained on."""
    np.testing.assert_allclose(hashed_draw(["u00042"], "early stopping", 17), [0.06488615628787664], rtol=0, atol=1e-12)


@given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.lists(st.text(min_size=1), max_size=30))
def test_who_is_drawn_stays_drawn_whoever_comes(ids, newcomers):
    together = hashed_draw([*newcomers, *ids], "anchors", 3)
    np.testing.assert_array_equal(together[len(newcomers) :], hashed_draw(ids, "anchors", 3))
    assert ((together >= 0) & (together < 1)).all()


def test_nobody_gives_nothing():
    assert hashed_draw([], "anchors", 1).shape == (0,)


def test_half_of_a_surrogate_pair_is_an_id_too():
    assert hashed_draw(["\ud800"], "anchors", 1).shape == (1,)
