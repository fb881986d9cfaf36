from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.consumers.matching.chain import chain
from tests.training.ranking.world import same_group, two_tastes
from training.consumers.matching.initialisation import (
    KNEE,
    MAX_PARTIAL_ITEMS,
    ItemStart,
    SpectrumName,
    continued_tower,
    partial_items,
    reshaped,
)
from training.data.pair_log import PairLog
from training.ranking.initialisation import DEGREE_OFFSET, svd_items, unit_rows
from training.ranking.two_tower import TwoTowerConfig

DATA = two_tastes()

PAIRS = DATA.pairs()


def test_the_start_tells_groups_apart_and_knows_popularity() -> None:
    tower = ItemStart(PAIRS, 8, 0, ordered=False).tower(TwoTowerConfig(width=4))
    items = tower.items().detach().numpy()
    close = items @ items.T
    same = same_group(DATA)[0]
    assert close[np.ix_(same, same)].mean() > close[np.ix_(same, ~same)].mean() + 0.3
    np.testing.assert_allclose(tower.item_bias.detach(), np.log(PAIRS.item_counts() + 0.5), rtol=1e-5)


def test_continuing_keeps_known_items_and_places_new_ones_with_their_users() -> None:
    tower = ItemStart(PAIRS, 8, 0, ordered=False).tower(TwoTowerConfig(width=4))
    rows = np.arange(40, dtype=np.int32)
    rows[7] = -1
    continued = continued_tower(tower, rows, PAIRS)
    kept = np.arange(40) != 7
    np.testing.assert_array_equal(continued.items().detach()[kept], tower.items().detach()[kept])
    assert float(continued.items().detach()[7] @ tower.items().detach()[7]) > 0.5
    assert continued.scale.detach() == pytest.approx(float(tower.scale.detach()))


def test_continuing_without_new_items_changes_nothing() -> None:
    tower = ItemStart(PAIRS, 8, 0, ordered=False).tower(TwoTowerConfig(width=4))
    again = continued_tower(tower, np.arange(40, dtype=np.int32), PAIRS)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in tower.state_dict().items())


def test_the_start_has_two_sides_only_where_order_counts() -> None:
    plain = ItemStart(PAIRS, 4, 0, ordered=False).tower(TwoTowerConfig(width=3))
    assert torch.equal(plain.history_items.weight, plain.scored_items.weight)
    tower = ItemStart(chain(), 4, 0, ordered=True).tower(TwoTowerConfig(width=3))
    assert not torch.equal(tower.history_items.weight, tower.scored_items.weight)
    assert torch.allclose(tower.history_items.weight[0].norm(), torch.tensor(1.0))


@pytest.mark.parametrize(("spectrum", "second"), [("plain", 1.0), ("squared", 1 / 5), ("cubed", 1 / 25)])
def test_a_power_raises_the_lengths_of_the_columns(spectrum: SpectrumName, second: float) -> None:
    """Columns of length 5 and 1: the second counts 1 / 5 of what it did beside the first with each power more."""
    found = reshaped(np.array([[3.0, 1.0], [4.0, 0.0]], np.float32), spectrum)
    np.testing.assert_allclose(found / found[1, 0] * 4, [[3.0, second], [4.0, 0.0]], rtol=1e-5)


def test_a_ridge_leaves_directions_alike_up_to_its_knee() -> None:
    """The weight of a direction, both sides together, is s^2 / (s^2 + t^2), with t the length behind the knee."""
    lengths = np.array([80.0, 40.0, *np.geomspace(20.0, 4.0, KNEE - 2), 2.0, 0.2])
    side = np.linalg.qr(np.random.default_rng(0).normal(size=(40, KNEE + 2)))[0] * lengths
    expected = side / lengths * np.sqrt(lengths**2 / (lengths**2 + 4.0))
    np.testing.assert_allclose(reshaped(side.astype(np.float32), "ridge"), expected, atol=1e-5)


def test_items_stand_where_the_spectrum_says_and_weigh_alike_in_histories_but_for_partial_correlations() -> None:
    start, svd = ItemStart(PAIRS, 8, 0, ordered=False), svd_items(PAIRS, 8, 0)
    cubed = start.tower(TwoTowerConfig(width=4), "cubed").history_items.weight.detach().numpy()
    np.testing.assert_allclose(cubed, unit_rows(reshaped(svd, "cubed")[:, :4]), atol=1e-6)
    partial = start.tower(TwoTowerConfig(width=4), "partial").history_items.weight.detach().numpy()
    expected = partial_items(PAIRS, svd)[:, :4]
    np.testing.assert_allclose(partial, expected / np.linalg.norm(expected, axis=1).mean(), atol=1e-6)


def test_partial_correlations_are_those_of_what_regressions_leave_over() -> None:
    """Two items' residuals after regressing each on all others correlate as much; the ridge is so many rows more."""
    rng = np.random.default_rng(0)
    users, items = np.divmod(np.flatnonzero(rng.random(30 * 12) < 0.4), 12)
    pairs = PairLog.of(users, items, np.arange(len(users)), 30, 12)
    matrix, svd = pairs.matrix().toarray(), svd_items(pairs, 12, seed=0)
    lengths = np.linalg.norm(svd, axis=0)
    rows = matrix / np.sqrt(np.outer(matrix.sum(1) + DEGREE_OFFSET, matrix.sum(0) + DEGREE_OFFSET))
    rows = np.vstack([rows, lengths[KNEE] / 2 * np.eye(12)])
    partial = np.zeros((12, 12))
    for one, other in itertools.permutations(range(12), 2):
        rest = np.delete(rows, [one, other], axis=1)
        left = rows[:, [one, other]] - rest @ np.linalg.lstsq(rest, rows[:, [one, other]])[0]
        partial[one, other] = left[:, 0] @ left[:, 1] / np.prod(np.linalg.norm(left, axis=0))
    values, columns = np.linalg.eigh(partial)
    for width in (3, 12):
        best = np.flip(np.argsort(values))[:width]
        nearest = columns[:, best] @ np.diag(values[best].clip(min=0)) @ columns[:, best].T
        found = partial_items(pairs, svd)[:, :width]
        np.testing.assert_allclose(found @ found.T, nearest, atol=1e-4)


def test_partial_correlations_tell_groups_apart_and_need_a_log() -> None:
    found = ItemStart(PAIRS, 8, 0, ordered=False).tower(TwoTowerConfig(width=4), "partial").items().detach().numpy()
    same = same_group(DATA)[0]
    assert (found @ found.T)[np.ix_(same, same)].mean() > (found @ found.T)[np.ix_(same, ~same)].mean() + 0.3
    assert not partial_items(PAIRS.where(np.zeros(len(PAIRS), bool)), np.zeros((40, 4), np.float32)).any()


def test_a_large_catalogue_is_offered_no_partial_correlations() -> None:
    start = ItemStart(replace(PAIRS, num_items=MAX_PARTIAL_ITEMS + 1), 4, 0, ordered=False)
    assert not start.offers("partial")
    assert start.offers("ridge")
    assert ItemStart(PAIRS, 4, 0, ordered=False).offers("partial")
