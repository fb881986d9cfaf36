from __future__ import annotations

import numpy as np
import pytest

from tests.training.ranking.world import DAY, two_tastes
from training.consumers.matching.train import MatchingTrainingConfig
from training.consumers.matching.trial import Choice, Trial
from training.data.pair_log import PairLog
from training.ranking.cut import Cut
from training.ranking.evidence import Evidence


def _trial(with_z: bool = True, share: float = 0.8, learning_rate: float = 1e-3) -> Trial:
    data = two_tastes()
    training = MatchingTrainingConfig(learning_rate=learning_rate)
    return Trial(Cut.at(data.pairs(), share), data.z_UZ if with_z else None, training, 8, seed=1)


def test_each_step_takes_what_validates_best_and_its_figures_are_those_of_the_vectors() -> None:
    trial = _trial()
    tried = trial.with_start(trial.untrained(), (4, 8), (0.85, 1.0))
    starts = {name: sum(found.values()) for name, found in tried.figures.items() if name != "chosen"}
    assert set(starts) == {f"start_width_{start}_plain" for start in ("8_decay_0.85", "8_decay_1", "4_decay_1")}
    assert f"start_width_{tried.choice.width}_decay_{tried.choice.decay:g}_plain" == max(
        starts, key=lambda n: starts[n]
    )
    tried = trial.with_epochs(tried, 2, patience=2)
    (gains,) = tried.curves().values()
    assert len(gains) == 2
    assert tried.choice.num_epochs == 1 + int(np.argmax(gains))
    tried = trial.with_z_share(tried)
    evidence = Evidence()
    evidence.judge("own", trial.cut, *trial.vectors(tried))
    for name, value in tried.figures["chosen"].items():
        assert evidence.metrics()[f"own.{name}_at_20"] == pytest.approx(value)


@pytest.mark.parametrize(("first", "expected"), [(1, 3), (3, 1), (9, 1)])
def test_epochs_before_the_first_are_not_validated_but_for_the_last(first: int, expected: int) -> None:
    trial = _trial()
    tried = trial.with_start(trial.untrained(), (4,), (0.85,))
    tried = trial.with_epochs(tried, 3, patience=3, first=first)
    assert len(tried.curves()["validation_gain"]) == expected


@pytest.mark.parametrize(
    ("width", "learning_rate", "kept"),
    [(8, 1e-3, 1), (8, 3.0, 0), (1, 0.1, 0)],
    ids=["gains", "loses", "gains less than its error"],
)
def test_an_epoch_is_kept_only_when_it_gains_more_than_its_error(width: int, learning_rate: float, kept: int) -> None:
    trial = _trial(learning_rate=learning_rate)
    tried = trial.with_start(trial.untrained(), (width,), (1.0 if kept else 0.2,))
    untrained = [side.copy() for side in trial.vectors(tried)]
    tried = trial.with_epochs(tried, 2, patience=2)
    assert tried.choice.num_epochs == kept
    assert len(tried.curves()["validation_gain"]) == 2
    assert all(map(np.array_equal, trial.vectors(tried), untrained)) == (not kept)


def test_without_epochs_there_is_no_curve() -> None:
    trial = _trial()
    tried = trial.with_start(trial.untrained(), (4,), (0.85,))
    tried = trial.with_epochs(tried, 0, patience=1)
    assert (tried.choice.num_epochs, tried.curves()) == (0, {})


@pytest.mark.parametrize("with_z", [True, False])
def test_z_has_a_share_where_histories_say_little_and_there_are_earlier_vectors(with_z: bool) -> None:
    trial = _trial(with_z, share=0.1)
    tried = trial.with_start(trial.untrained(), (4,), (0.85,))
    tried = trial.with_z_share(tried)
    assert (tried.choice.calibration.z_share > 0) == with_z


def test_the_own_choice_trained_again_gives_the_same_vectors() -> None:
    trial = _trial()
    tried = trial.with_start(trial.untrained(), (4,), (0.85,))
    tried = trial.with_epochs(tried, 2, patience=2)
    for own, again in zip(trial.vectors(tried), trial.vectors_of(tried.choice), strict=True):
        np.testing.assert_allclose(own, again, atol=1e-6)


def test_a_rival_of_another_width_is_trained_on_the_same_cut() -> None:
    users, items = _trial().vectors_of(Choice(width=12, num_epochs=1))
    assert users.shape[1] == items.shape[1] == 14
    assert np.isfinite(users).all()


def test_how_far_back_taste_reaches_is_chosen() -> None:
    """Users stay with one group, but for each one's newest item, which tells nothing: the plain mean reads past it."""
    rng = np.random.default_rng(0)
    group = np.arange(60) % 2
    rows = [(user, int(rng.integers(20)) + 20 * group[user], day) for day in range(12) for user in range(60)]
    rows += [(user, int(rng.integers(40)), 12) for user in range(60)]
    rows += [(user, int(rng.integers(20)) + 20 * group[user], 13) for user in range(60)]
    users, items, days = np.array(rows, np.int64).T
    log = PairLog(user_idx=users, item_idx=items, occurred_at=days * DAY, num_users=60, num_items=40, as_of=14 * DAY)
    pairs = log.distinct()
    cut = Cut(pairs.before(13 * DAY), pairs.since(13 * DAY))
    trial = Trial(cut, None, MatchingTrainingConfig(), 8, seed=1)
    tried = trial.with_start(trial.untrained(), (8,), (0.2, 1.0))
    assert tried.choice.decay == 1.0
    assert tried.tower.config.history.decay == 1.0
    assert {"start_width_8_decay_0.2_plain", "start_width_8_decay_1_plain"} <= set(tried.figures)


@pytest.mark.parametrize(("misled", "expected"), [(True, 0.5), (False, 0.0)])
def test_directions_grow_with_activity_where_those_of_few_events_mislead(misled: bool, expected: float) -> None:
    """Users of many items go on with their group; those of one go on likewise, or with what the others find popular.

    With directions of one length, either the ones see too little of their group or the others too much.
    """
    rng = np.random.default_rng(0)
    group, liked, popular = np.arange(200) % 2, rng.permuted(np.tile(np.arange(15), (80, 1)), axis=1), np.arange(15, 20)
    rows = [(user, 20 * group[user] + item, 0) for user in range(40) for item in liked[user, :10]]
    rows += [(user, 20 * group[user] + liked[user, 0], 0) for user in range(40, 80)]
    rows += [(user, 20 * group[user] + item, 0) for user in range(80, 200) for item in popular]
    held = [(user, 20 * group[user] + item, 21) for user in range(40 if misled else 80) for item in liked[user, 10:13]]
    held += [(user, 20 * (1 - group[user]) + item, 21) for user in range(40, 80) for item in popular[:3] if misled]
    users, items, days = np.array(sorted(rows + held, key=lambda row: row[2]), np.int64).T
    log = PairLog(user_idx=users, item_idx=items, occurred_at=days * DAY, num_users=200, num_items=40, as_of=22 * DAY)
    pairs = log.distinct()
    trial = Trial(Cut(pairs.before(21 * DAY), pairs.since(21 * DAY)), None, MatchingTrainingConfig(), 8, seed=1)
    tried = trial.with_start(trial.untrained(), (8,), (1.0,), powers=(0.0, 0.5))
    assert tried.choice.calibration.activity_power == expected
    assert "start_width_8_decay_1_plain_power_0.5" in tried.figures


def test_no_start_is_judged_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    judged, judge = [], Trial._judged_start
    monkeypatch.setattr(Trial, "_judged_start", lambda trial, choice: judged.append(choice) or judge(trial, choice))
    trial = _trial(with_z=False)
    tried = trial.with_start(trial.untrained(), (4, 8), (0.85, 1.0), ("plain", "cubed"))
    assert len(judged) == len(set(judged))
    assert {(choice.width, choice.spectrum) for choice in judged} >= {(8, "plain"), (8, "cubed")}
    assert (tried.choice.decay, tried.choice.spectrum) in {(choice.decay, choice.spectrum) for choice in judged}


def test_a_start_whose_lists_gain_nothing_leaves_the_widest_and_plainest_in_force() -> None:
    """With one direction, which every spectrum leaves alone, all give the same lists."""
    trial = _trial(with_z=False)
    tried = trial.with_start(trial.untrained(), (1,), (0.85,), ("plain", "ridge", "cubed"))
    assert (tried.choice.width, tried.choice.spectrum) == (1, "plain")


@pytest.mark.parametrize(("in_order", "expected"), [(True, 16), (False, 0)])
def test_what_follows_is_remembered_where_it_tells_the_next_item(in_order: bool, expected: int) -> None:
    """Users walk around a ring of items from anywhere, or meet items in no order; two columns cannot tell a place."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 40, 120)
    ring = (starts[:, None] + np.arange(6)) % 40
    items = ring if in_order else np.stack([rng.permutation(40)[:6] for _ in starts])
    pairs = PairLog.of(np.tile(np.arange(120), 6), items.T.ravel(), np.repeat(np.arange(6), 120) * DAY, 120, 40)
    trial = Trial(Cut.last_items(pairs), None, MatchingTrainingConfig(alpha=1.0, beta=0.0), 2, seed=1)
    tried = trial.with_start(trial.untrained(), (2,), (1.0,))
    tried = trial.with_successors(tried, 16)
    assert tried.choice.successor_width == expected
    assert (tried.choice.calibration.successor_weight > 0) == in_order
    assert trial.vectors(tried)[0].shape == (120, 2 + expected + 2)
    for own, again in zip(trial.vectors(tried), trial.vectors_of(tried.choice), strict=True):
        np.testing.assert_allclose(own, again, atol=1e-5)


def test_a_step_leaves_what_it_was_given_as_it_was() -> None:
    """A later step has the towers, choice and figures of its argument alone, so steps may be taken from any value."""
    trial = _trial(share=0.1)
    first = trial.with_start(trial.untrained(), (4,), (0.85,))
    choice, figures, vectors = first.choice, dict(first.figures), [side.copy() for side in trial.vectors(first)]
    trained = trial.with_z_share(trial.with_epochs(first, 2, patience=2))
    assert trained.choice != choice
    assert (first.choice, dict(first.figures), first.gains) == (choice, figures, ())
    assert all(map(np.array_equal, trial.vectors(first), vectors))
    again = trial.with_z_share(trial.with_epochs(first, 2, patience=2))
    assert (again.choice, again.figures, again.gains) == (trained.choice, trained.figures, trained.gains)
