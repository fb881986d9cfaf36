from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import NUM_ITEMS, NUM_USERS, TINY, two_groups
from training.consumers.cold_start import search
from training.consumers.cold_start.model import StartWeights
from training.consumers.cold_start.search import (
    MODES,
    Choice,
    choice_of,
    choose,
    for_mode,
    popularity_vectors,
    search_and_train,
    started_network,
    train_cold_start,
)

SHORT = replace(TINY, max_epochs=6)


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


def test_new_users_are_filled_only_where_that_ranks_them_better(monkeypatch: pytest.MonkeyPatch) -> None:
    data, figures = two_groups(), iter([0.1, 0.2])
    monkeypatch.setattr(search, "_new_ndcg", lambda scores: next(figures, 0.0))
    choice = choose(data, replace(TINY, max_epochs=1))
    assert choice == Choice(mode="full", num_epochs=1, fill=False, start_weights=choice.start_weights)
    unfilled = train_cold_start(data, TINY, choice)
    assert not unfilled.fill
    assert unfilled.network.zero_shot is not None
    assert not unfilled.network.virtual_mark.any()


def test_a_champion_of_the_same_choices_scores_the_same_and_another_is_trained() -> None:
    own = choice_of(search_and_train(two_groups(), SHORT).model)
    same = search_and_train(two_groups(), SHORT, rival=own).evidence
    assert same.scores["champion"] is same.scores["own"]
    other = search_and_train(two_groups(), SHORT, rival=Choice(mode="none", num_epochs=1)).evidence
    assert other.scores["champion"] is not other.scores["own"]


def test_too_few_users_choose_nothing() -> None:
    trained = search_and_train(two_groups(), replace(TINY, min_users=1000))
    assert trained.evidence.scores == {}
    assert choice_of(trained.model) == Choice(mode="full", num_epochs=2)


def test_the_linear_start_counts_as_much_as_ranks_each_group_best(monkeypatch: pytest.MonkeyPatch) -> None:
    config, figures = replace(TINY, max_epochs=1, mode="base", start_weights=(0.0, 2.0, 4.0)), iter([0.0])
    by_group = {"new": iter([0.1, 0.3, 0.2]), "old": iter([0.3, 0.1, 0.2])}
    monkeypatch.setattr(search, "_best_epoch", lambda found: next(figures, 0))
    monkeypatch.setattr(search, "_ndcg", lambda scores, group: next(by_group[group], 0.0))
    choice = choose(two_groups(), config)
    assert choice.start_weights == StartWeights(new=2.0, old=0.0)


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
