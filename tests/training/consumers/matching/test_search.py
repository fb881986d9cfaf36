from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.ranking.world import DAY, same_group, two_tastes
from training.consumers.matching import search as matching
from training.consumers.matching.model import MatchingModel
from training.consumers.matching.search import MatchingConfig, choice_of, search_and_train, train_matching
from training.consumers.matching.train import CONTINUED_RATE, MatchingTrainingConfig, fit
from training.consumers.matching.trial import Choice
from training.contracts.errors import SpaceMismatch
from training.data.pair_log import PairLog
from training.data.vocabulary import Vocabulary
from training.ranking.two_tower import TwoTower

CONFIG = MatchingConfig(widths=(4, 8), max_epochs=2)


@pytest.fixture(scope="module")
def model() -> MatchingModel:
    return train_matching(two_tastes(), CONFIG)


def test_both_sides_of_the_product_tell_the_groups(model: MatchingModel) -> None:
    data = two_tastes()
    scores = model.user_vectors(data) @ model.item_vectors(data).T
    same = same_group(data)
    ahead_for_users = np.where(same, scores, np.nan)
    assert (np.nanmin(ahead_for_users, 1) > np.where(same, -np.inf, scores).max(1)).mean() > 0.9
    order = np.argsort(-scores, axis=0)[:10]
    assert np.mean([same[order[:, item], item].mean() for item in range(same.shape[1])]) > 0.9


def test_equal_seed_gives_equal_vectors(model: MatchingModel) -> None:
    data = two_tastes()
    again = train_matching(data, CONFIG)
    np.testing.assert_array_equal(again.user_vectors(data), model.user_vectors(data))
    assert choice_of(again) == choice_of(model)


@pytest.mark.parametrize("continued", [False, True], ids=["anew", "continued"])
def test_the_model_is_the_same_on_one_core_and_on_several(continued: bool) -> None:
    """Sums are split among threads, so that their last bits, and with them the model's version, would follow."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(300), 12)
    data = replace(
        two_tastes(),
        users=Vocabulary([f"u{i:03d}" for i in range(300)], "user"),
        items=Vocabulary([f"i{i:03d}" for i in range(200)], "item"),
        user_idx=rng.permutation(users).astype(np.int32),
        item_idx=rng.integers(0, 200, len(users)).astype(np.int32),
        occurred_at=np.sort(rng.integers(0, 60 * DAY, len(users))),
        z_UZ=rng.normal(size=(300, 16)).astype(np.float32),
        item_vectors_IE=np.zeros((200, 2), np.float32),
        earlier=None,
    )
    plain = replace(CONFIG, widths=(32,), decays=(0.85,), spectra=("plain",), activity_powers=(0.0,), max_epochs=0)
    num_threads, vectors = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            model = train_matching(data, plain)
            if continued:
                model = train_matching(data, plain, warm_start=model, since=50 * DAY)
            vectors.append([model.user_vectors(data), model.item_vectors(data)])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(num_threads)
    for users_UD, items_ID in vectors[1:]:
        np.testing.assert_array_equal(users_UD, vectors[0][0])
        np.testing.assert_array_equal(items_ID, vectors[0][1])


def test_saving_and_loading_changes_nothing_and_gives_the_same_bytes(model: MatchingModel, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
    loaded = MatchingModel.load(tmp_path / "a")
    data = two_tastes()
    np.testing.assert_array_equal(loaded.user_vectors(data), model.user_vectors(data))
    np.testing.assert_array_equal(loaded.item_vectors(), model.item_vectors())
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert choice_of(loaded) == choice_of(model)


def test_another_space_is_refused_by_name(model: MatchingModel) -> None:
    other = two_tastes(space_id="20261106-ffffffff")
    with pytest.raises(SpaceMismatch, match=r"20261105-0badcafe.*20261106-ffffffff"):
        model.user_vectors(other)
    with pytest.raises(SpaceMismatch):
        train_matching(other, CONFIG, warm_start=model, since=0)


def test_a_user_without_history_stands_where_z_says(model: MatchingModel) -> None:
    data = two_tastes()
    users = Vocabulary([*data.users.ids, "u998", "u999"], "user")
    newcomers = replace(data, users=users, z_UZ=np.vstack([data.z_UZ, np.eye(2, dtype=np.float32)]))
    scores = model.user_vectors(newcomers)[-2:, :-2] @ model.item_vectors()[:, :-2].T
    first, second = scores[:, :20].mean(1), scores[:, 20:].mean(1)
    assert first[0] > second[0]
    assert first[1] < second[1]


def test_a_new_item_ranks_below_every_known_one(model: MatchingModel) -> None:
    data = two_tastes()
    grown = replace(data, items=Vocabulary([*data.items.ids, "i500"], "item"))
    vectors = model.item_vectors(grown)
    np.testing.assert_array_equal(vectors[:-1], model.item_vectors())
    assert vectors[-1, -1] < vectors[:-1, -1].min()
    np.testing.assert_array_equal(model.user_vectors(grown), model.user_vectors(data))


def test_evidence_covers_the_baseline_and_a_rival() -> None:
    trained = search_and_train(two_tastes(), CONFIG, Choice(width=4, num_epochs=1))
    assert trained.evidence.rivals == ["popularity and activity", "champion"]
    assert trained.evidence.finite
    (_, popularity), (_, activity) = trained.evidence.compared_with("popularity and activity")
    assert trained.evidence.own("recommendation").mean() > popularity.mean()
    assert len(activity) == len(trained.evidence.own("targeting"))
    assert "own.ndcg_at_20" in trained.evidence.metrics()


def test_nothing_after_the_cut_moves_what_is_chosen_before_it() -> None:
    data = two_tastes()
    late = data.z_UZ.copy()
    late[:] = np.random.default_rng(0).normal(size=late.shape)
    chosen = search_and_train(data, CONFIG, None)
    unchanged = search_and_train(replace(data, z_UZ=late), CONFIG, None)
    assert choice_of(chosen.model) == choice_of(unchanged.model)


def test_too_little_to_validate_on_takes_the_defaults() -> None:
    data = two_tastes()
    short = replace(
        data, user_idx=data.user_idx[:40], item_idx=data.item_idx[:40], occurred_at=data.occurred_at[:40]
    )  # fmt: skip
    trained = search_and_train(short, CONFIG, None)
    assert choice_of(trained.model) == Choice(width=8)
    assert np.isfinite(trained.model.user_vectors(short)).all()


def test_no_interaction_at_all_still_gives_vectors() -> None:
    data = two_tastes()
    empty = replace(data, user_idx=data.user_idx[:0], item_idx=data.item_idx[:0], occurred_at=data.occurred_at[:0])
    trained = search_and_train(empty, CONFIG, None)
    assert np.isfinite(trained.model.user_vectors(empty)).all()
    assert trained.evidence.rivals == []


def test_one_pass_over_a_new_day_keeps_choices_and_learns_new_items(model: MatchingModel) -> None:
    data = two_tastes()
    new_users = np.arange(0, 60, 2, dtype=np.int32)
    grown = replace(
        data,
        items=Vocabulary([*data.items.ids, "i500"], "item"),
        item_vectors_IE=np.zeros((41, 2), np.float32),
        user_idx=np.concatenate([data.user_idx, new_users]),
        item_idx=np.concatenate([data.item_idx, np.full(30, 40, np.int32)]),
        occurred_at=np.concatenate([data.occurred_at, np.full(30, 60 * DAY)]),
        as_of=61 * DAY,
    )
    continued = train_matching(grown, CONFIG, warm_start=model, since=60 * DAY)
    assert choice_of(continued) == choice_of(model)
    scores = continued.user_vectors(grown)[:, :-2] @ continued.item_vectors()[-1, :-2]
    assert scores[::2].mean() > scores[1::2].mean()


def test_a_loss_alone_means_pairs_and_the_next_item_brings_its_encoder() -> None:
    assert CONFIG.with_objective(None, "row_bcnce").training.objective == "pairs"
    ordered = CONFIG.with_objective("next_item", None)
    assert ordered.training.tower.history.encoder == "self_attention"
    assert ordered.validation == "last_item"
    assert CONFIG.with_objective(None, None) == CONFIG


@pytest.mark.parametrize("objective", ["pairs", "next_item"])
def test_the_choice_carries_how_the_model_learned(objective: str, tmp_path: Path) -> None:
    config = replace(CONFIG.with_objective(objective, None), widths=(8,), max_epochs=1)
    small = replace(config.training.tower.history, max_length=8, num_layers=1)
    tower = replace(config.training.tower, history=small)
    config = replace(config, training=replace(config.training, tower=tower))
    trained = search_and_train(two_tastes(), config, Choice(width=4, num_epochs=1))
    trained.model.save(tmp_path)
    choice = choice_of(MatchingModel.load(tmp_path))
    assert choice.objective == objective
    assert choice.encoder == small.encoder
    assert "champion" in trained.evidence.rivals
    assert np.isfinite(trained.model.user_vectors(two_tastes())).all()


def test_towers_that_are_not_trained_anew_make_one_more_pass_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    data, passes = two_tastes(), []

    def noted(tower: TwoTower, pairs: PairLog, training: MatchingTrainingConfig, num_epochs: int, *rest: Any) -> None:
        passes.append((len(pairs), training.learning_rate, num_epochs))
        fit(tower, pairs, training, num_epochs, *rest)

    monkeypatch.setattr(matching, "fit", noted)
    steep = replace(CONFIG, training=MatchingTrainingConfig(schedule="cosine", learning_rate=0.02))
    whole, kept = (train_matching(data, replace(steep, refit=refit)) for refit in (True, False))
    assert choice_of(whole) == choice_of(kept)
    assert passes == [
        (len(data.pairs()), 0.02, choice_of(whole).num_epochs),
        (len(data.pairs()), pytest.approx(0.02 * CONTINUED_RATE), 1),
    ]
    assert not np.array_equal(whole.item_vectors(), kept.item_vectors())
