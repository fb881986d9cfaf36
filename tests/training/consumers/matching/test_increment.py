from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.ranking.world import DAY, two_tastes
from training.consumers.matching.increment import continue_and_judge, data_before, halfway
from training.consumers.matching.model import MatchingModel
from training.consumers.matching.search import MatchingConfig, choice_of, train_matching
from training.contracts.errors import SpaceMismatch
from training.ranking.dataset import RankingDataset
from training.ranking.evidence import CHAMPION

CONFIG = MatchingConfig(widths=(4,), max_epochs=1)
SINCE = 40 * DAY


@pytest.fixture(scope="module")
def data() -> RankingDataset:
    return two_tastes()


@pytest.fixture(scope="module")
def champion(data: RankingDataset) -> MatchingModel:
    return train_matching(data_before(data, SINCE), CONFIG)


def test_the_cut_leaves_half_of_the_new_rows(data: RankingDataset) -> None:
    cut = halfway(data, SINCE)
    num_new = len(data.pairs().since(SINCE))
    assert len(data.pairs().since(cut.known.as_of)) == pytest.approx(num_new / 2, abs=3)
    assert cut.known.as_of > SINCE


def test_what_was_known_earlier_holds_no_later_row_or_vector(data: RankingDataset) -> None:
    assert data.earlier is not None
    known = data_before(data, SINCE)
    assert known.occurred_at.max() < SINCE == known.as_of
    np.testing.assert_array_equal(known.z_UZ, data.earlier.z_UZ)
    too_early = data_before(data, data.earlier.as_of - 1)
    assert not too_early.z_UZ.any()


def test_the_pass_keeps_the_choices_and_learns_what_is_new(data: RankingDataset, champion: MatchingModel) -> None:
    trained = continue_and_judge(data, CONFIG, champion, SINCE)
    assert choice_of(trained.model) == choice_of(champion)
    moved = np.abs(trained.model.item_vectors(data) - champion.item_vectors(data)).max()
    assert moved > 0
    assert trained.evidence.finite
    assert set(trained.evidence.rivals) == {CHAMPION, "popularity and activity"}
    assert trained.evidence.own("recommendation").mean() > 0


def test_the_champion_is_judged_as_it_stood(data: RankingDataset, champion: MatchingModel) -> None:
    later = data_before(data, halfway(data, SINCE).known.as_of)
    tampered = replace(data, item_idx=np.where(data.occurred_at >= later.as_of, 0, data.item_idx).astype(np.int32))
    for given in (data, tampered):
        np.testing.assert_array_equal(data_before(given, later.as_of).item_idx, later.item_idx)
    evidence = continue_and_judge(data, CONFIG, champion, SINCE).evidence
    again = continue_and_judge(data, CONFIG, champion, SINCE).evidence
    assert evidence.metrics() == again.metrics()


def test_nothing_new_leaves_nothing_to_compare(data: RankingDataset, champion: MatchingModel) -> None:
    assert not continue_and_judge(data, CONFIG, champion, data.as_of).evidence.rivals


def test_another_space_takes_a_full_pass(data: RankingDataset, champion: MatchingModel) -> None:
    with pytest.raises(SpaceMismatch):
        continue_and_judge(replace(data, space_id="20261106-ffffffff"), CONFIG, champion, SINCE)
