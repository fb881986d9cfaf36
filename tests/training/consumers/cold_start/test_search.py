from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import NUM_ITEMS, NUM_USERS, TINY, two_groups
from training.consumers.cold_start.cut import GROUPS
from training.consumers.cold_start.model import StartWeights
from training.consumers.cold_start.search import (
    MODES,
    Choice,
    ColdStartConfig,
    choice_of,
    choose,
    cut_of,
    for_mode,
    popularity_vectors,
    search_and_train,
    started_network,
    train_cold_start,
)

SHORT = replace(TINY, max_epochs=6)
JUMPING = replace(TINY, mode="base", max_epochs=12, training=replace(TINY.training, learning_rate=0.3, batch_size=8))
"""Steps so long that each epoch ranks quite unlike the one before it."""
ONE_EPOCH = replace(TINY, mode="base", max_epochs=1, start_weights=(0.0, 2.0, 4.0))


def _ndcg_of(config: ColdStartConfig, weights: StartWeights, group: str) -> float:
    """Return the mean NDCG of a group by one epoch on the cut, trained anew with these weights of the start."""
    cut = cut_of(two_groups(), config)
    model = train_cold_start(cut.known, config, Choice(mode=config.mode, num_epochs=1, start_weights=weights))
    scores = cut.judge(model.user_vectors(cut.known, cut.judged_users), model.item_vectors())
    return float(scores[group].ndcg(20).mean())


def test_new_users_are_ranked_above_popularity_and_old_ones_keep_their_figures() -> None:
    trained = search_and_train(two_groups(), TINY)
    evidence = trained.evidence
    assert evidence.finite
    assert list(evidence.scores) == ["own", "popularity", "ranker alone"]
    assert evidence.ndcg("own", "new").mean() > evidence.ndcg("popularity", "new").mean() + 0.1
    assert len(evidence.ndcg("own", "old")) == len(evidence.ndcg("ranker alone", "old"))
    assert evidence.metrics()["own.new.ndcg_at_20"] == pytest.approx(evidence.ndcg("own", "new").mean())
    assert len(trained.curves["new_ndcg_at_20"]) == len(trained.curves["ranking"])


def test_the_best_epoch_on_validation_is_trained_again_on_everything() -> None:
    trained = search_and_train(two_groups(), SHORT, "20261101-aaaaaaaa")
    choice = choice_of(trained.model)
    sums = np.sum([trained.curves[f"{group}_ndcg_at_20"] for group in ("new", "old")], axis=0)
    beside = [sums[max(epoch - 2, 0) : epoch + 3].mean() for epoch in range(len(sums))]
    assert choice.num_epochs == int(np.argmax(beside)) + 1
    assert choice == choose(two_groups(), SHORT)
    assert trained.model.space_id == "20261101-aaaaaaaa"
    assert trained.model.facts["config"]["seed"] == SHORT.seed


def test_a_large_log_makes_fewer_epochs_and_a_log_of_six_thousand_as_many_as_ever() -> None:
    config = ColdStartConfig()
    assert [config.num_epochs(users) for users in (0, 1, 6040, 8192, 16_384, 10**6)] == [30, 30, 30, 24, 12, 12]
    assert replace(config, max_users=10).num_epochs(10**6) == 1
    few = replace(SHORT, max_users=2 * NUM_USERS)
    trained = search_and_train(two_groups(), few)
    learned_from = int(cut_of(two_groups(), few).known.has_history.sum())
    assert len(trained.curves["ranking"]) == few.num_epochs(learned_from) < SHORT.max_epochs


@pytest.mark.parametrize(("seed", "expected"), [(1, True), (2, False)])
def test_new_users_are_filled_only_where_that_ranks_them_better(seed: int, expected: bool) -> None:
    data, config = two_groups(), replace(ONE_EPOCH, mode="full", seed=seed)
    trained = search_and_train(data, config)
    unfilled = trained.evidence.ndcg("ranker alone", "new").mean()
    filled = max(_ndcg_of(config, StartWeights(new=weight), "new") for weight in config.start_weights)
    assert (filled >= unfilled) == expected
    assert choice_of(trained.model).fill is trained.model.fill is expected
    assert trained.model.network.zero_shot is not None
    assert bool(trained.model.network.virtual_mark.any()) == expected


def test_a_champion_of_the_same_choices_scores_the_same_and_another_is_trained() -> None:
    own = choice_of(search_and_train(two_groups(), SHORT).model)
    same = search_and_train(two_groups(), SHORT, rival=own).evidence
    assert same.scores["champion"] is same.scores["own"]
    other = search_and_train(two_groups(), SHORT, rival=Choice(mode="none", num_epochs=1)).evidence
    assert other.scores["champion"] is not other.scores["own"]


@pytest.mark.parametrize("seed", range(5))
def test_epochs_weights_and_evidence_are_of_one_network_however_the_curve_jumps(seed: int) -> None:
    """Later epochs move the best smoothed one back: what they were chosen of is trained again and must be the same."""
    config = replace(JUMPING, seed=seed)
    data = two_groups()
    trained = search_and_train(data, config)
    choice, cut = choice_of(trained.model), cut_of(data, config)
    again = train_cold_start(cut.known, config, choice)
    scores = cut.judge(again.user_vectors(cut.known, cut.judged_users), again.item_vectors())
    for group in GROUPS:
        np.testing.assert_array_equal(trained.evidence.ndcg("own", group), scores[group].ndcg(20))


def test_too_few_users_choose_nothing() -> None:
    trained = search_and_train(two_groups(), replace(TINY, min_users=1000))
    assert trained.evidence.scores == {}
    assert choice_of(trained.model) == Choice(mode="full", num_epochs=2)


@pytest.mark.parametrize("seed", [0, 2])
def test_the_linear_start_counts_as_much_as_ranks_each_group_best(seed: int) -> None:
    config = replace(ONE_EPOCH, seed=seed)
    chosen = choose(two_groups(), config).start_weights
    for group, weight in (("new", chosen.new), ("old", chosen.old)):
        by_weight = {w: _ndcg_of(config, StartWeights(new=w, old=w), group) for w in config.start_weights}
        assert weight == max(by_weight, key=lambda w: by_weight[w])
        assert len(set(by_weight.values())) > 1
    assert chosen.new != chosen.old


def test_an_unweighted_start_leaves_the_ranking_tower_alone() -> None:
    data = two_groups()
    towers = [
        train_cold_start(data, TINY, Choice(mode="base", num_epochs=1, start_weights=StartWeights(new=weight)))
        for weight in (0.0, 3.0)
    ]
    alone, added = (model.user_vectors(data) @ model.item_vectors().T for model in towers)
    start = towers[0].start
    expected = np.where(data.has_history[:, None], 0.0, 3.0 * start.user_vectors(data) @ start.item_vectors().T)
    np.testing.assert_allclose(added - alone, expected, atol=1e-4)


def test_modes_differ_in_what_fills_a_new_user() -> None:
    towers = {mode: for_mode(TINY.model, mode).zero_shot for mode in MODES}
    assert {mode: tower.views if tower else None for mode, tower in towers.items()} == {
        "none": "linear",
        "single": "attributes",
        "base": None,
        "full": "both",
    }


def test_tables_start_from_space_and_log_and_terms_from_popularity() -> None:
    data = two_groups()
    network = started_network(data, TINY.model, 1)
    shares = (data.pairs.item_counts() + 0.5) / 56
    np.testing.assert_allclose(network.item_bias.detach().numpy(), np.log(shares), rtol=1e-5)
    bare = replace(data, item_vectors_IE=np.zeros((NUM_ITEMS, 0), np.float32))
    other = started_network(bare, TINY.model, 1)
    assert not np.allclose(network.items.weight.detach(), other.items.weight.detach())
    norms = np.linalg.norm(other.items.weight.detach().numpy(), axis=1)
    np.testing.assert_allclose(norms[data.pairs.item_counts() > 0], 1.0, rtol=1e-4)


def test_popularity_ranks_by_counts() -> None:
    users, items = popularity_vectors(two_groups().pairs)
    assert users.shape == (NUM_USERS, 1)
    assert (users @ items.T)[0].tolist() == two_groups().pairs.item_counts().tolist()
