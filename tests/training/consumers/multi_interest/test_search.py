from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.ranking.world import DAY, same_group, two_tastes
from training.consumers.multi_interest.network import MultiInterestConfig
from training.consumers.multi_interest.search import (
    MultiInterestSearchConfig,
    TrainedMultiInterest,
    interest_choice_of,
    search_and_train_interests,
)
from training.consumers.multi_interest.train import MultiInterestTrainingConfig
from training.consumers.multi_interest.trial import InterestChoice, InterestTrial
from training.ranking.calibration import Calibration
from training.ranking.evidence import CHAMPION

DATA = two_tastes()
CONFIG = MultiInterestSearchConfig(
    training=MultiInterestTrainingConfig(
        towers=MultiInterestConfig(num_interests=2, width=4, hidden=4), block_users=32, learning_rate=5e-3
    ),
    decays=(0.9, 0.99),
    interests=(3,),
    repel_weights=(0.0,),
    max_epochs=2,
)


@pytest.fixture(scope="module")
def trained() -> TrainedMultiInterest:
    return search_and_train_interests(DATA, CONFIG, None)


def test_the_best_of_a_users_vectors_tells_the_groups(trained: TrainedMultiInterest) -> None:
    scores = (trained.model.user_vectors(DATA) @ trained.model.item_vectors(DATA).T).max(axis=1)
    same = same_group(DATA)
    ahead = np.where(same, scores, np.nan)
    assert (np.nanmin(ahead, 1) > np.where(same, -np.inf, scores).max(1)).mean() > 0.9


def test_evidence_holds_popularity_and_curves_hold_every_tower(trained: TrainedMultiInterest) -> None:
    assert trained.evidence.finite
    assert trained.evidence.rivals == ["popularity and activity"]
    ndcg = {name: trained.evidence.metrics()[f"{name}.ndcg_at_20"] for name in ("own", "popularity and activity")}
    assert ndcg["own"] > ndcg["popularity and activity"]
    assert sum(trained.shares_K) == pytest.approx(1.0)
    epochs = interest_choice_of(trained.model).num_epochs
    assert len(trained.curves.get("win_share_0", [])) == len(trained.curves.get("mean_pairwise_cosine", [])) == epochs
    assert "validation_ndcg" in trained.curves


def test_choices_are_among_those_offered_and_kept_with_the_model(trained: TrainedMultiInterest) -> None:
    choice = interest_choice_of(trained.model)
    assert choice.num_interests in (2, 3)
    assert choice.decay in (0.9, 0.99)
    assert choice.repel_weight in (0.0, 0.1)
    assert 0 <= choice.num_epochs <= 2
    assert trained.model.calibration == choice.calibration


def test_equal_seed_gives_equal_vectors(trained: TrainedMultiInterest) -> None:
    again = search_and_train_interests(DATA, CONFIG, None).model
    np.testing.assert_array_equal(again.user_vectors(DATA), trained.model.user_vectors(DATA))


def test_the_champion_is_trained_on_the_same_cut(trained: TrainedMultiInterest) -> None:
    rival = replace(interest_choice_of(trained.model), num_interests=1, num_epochs=1)
    judged = search_and_train_interests(DATA, replace(CONFIG, interests=(), repel_weights=()), rival)
    assert judged.evidence.rivals == ["popularity and activity", CHAMPION]
    tasks = judged.evidence.compared_with(CHAMPION)
    assert [len(ndcg) for _, ndcg in tasks] == [len(judged.evidence.own(task)) for task, _ in tasks]


def test_a_champion_of_the_same_choices_is_not_trained_again(
    trained: TrainedMultiInterest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(trial: InterestTrial, choice: InterestChoice) -> None:
        raise AssertionError(f"{choice} was trained again")

    monkeypatch.setattr(InterestTrial, "exactly", refuse)
    rival = replace(interest_choice_of(trained.model), calibration=Calibration(gamma=0.3))
    judged = search_and_train_interests(DATA, CONFIG, rival)
    assert judged.evidence.rivals == ["popularity and activity", CHAMPION]
    np.testing.assert_array_equal(judged.evidence.own("recommendation"), trained.evidence.own("recommendation"))


@pytest.mark.parametrize(("best", "most"), [(0, 1), (1, 3), (2, 4), (11, 16), (16, 16)])
def test_an_alternative_trains_little_longer_than_what_it_is_compared_with(best: int, most: int) -> None:
    config = MultiInterestSearchConfig(max_epochs=16, overrun=1.5)
    assert config.epochs_beside(replace(config.first, num_epochs=best)) == most


def test_nothing_after_the_cut_reaches_the_choices() -> None:
    """Later user vectors and other later items leave what is chosen on the cut as it is."""
    config = replace(CONFIG, interests=(), repel_weights=())
    first = search_and_train_interests(DATA, config, None)
    late = replace(DATA, z_UZ=DATA.z_UZ[::-1].copy(), earlier=None)
    second = search_and_train_interests(replace(late, earlier=DATA.earlier), config, None)
    assert interest_choice_of(first.model) == interest_choice_of(second.model)
    np.testing.assert_array_equal(first.evidence.own("recommendation"), second.evidence.own("recommendation"))


def test_vectors_later_than_the_cut_are_not_validated_on() -> None:
    assert DATA.earlier is not None
    config = replace(CONFIG, interests=(), repel_weights=())
    late = replace(DATA, earlier=replace(DATA.earlier, as_of=59 * DAY))
    assert interest_choice_of(search_and_train_interests(late, config, None).model).calibration.z_share == 0.0


def test_too_little_to_validate_on_chooses_nothing() -> None:
    model = search_and_train_interests(DATA, replace(CONFIG, min_validation_rows=10_000), None).model
    assert interest_choice_of(model) == CONFIG.first


def test_an_empty_log_gives_finite_vectors() -> None:
    nothing = np.zeros(0, np.int32)
    empty = replace(DATA, user_idx=nothing, item_idx=nothing, occurred_at=nothing.astype(np.int64), earlier=None)
    trained = search_and_train_interests(empty, CONFIG, None)
    assert trained.evidence.finite
    assert trained.evidence.rivals == []
    assert trained.shares_K == [0.0, 0.0]
