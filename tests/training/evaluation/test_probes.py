import numpy as np

from training.evaluation.probe_report import auc
from training.evaluation.probes import PairTask, build_pair_task, probe


def two_kinds(num_users: int = 80, num_items: int = 40, seed: int = 0):
    """Even users meet even items; past and future meetings, and what tells the kind of each."""
    generator = np.random.default_rng(seed)
    users = np.repeat(np.arange(num_users), 12)
    items = 2 * generator.integers(num_items // 2, size=len(users)) + users % 2
    half = np.arange(len(users)) % 2 == 0
    kinds = np.eye(2, dtype=np.float32)
    past, future = (users[half], items[half]), (users[~half], items[~half])
    return past, future, kinds[np.arange(num_users) % 2], kinds[np.arange(num_items) % 2]


def task_of(seed: int = 1, max_positives: int = 10_000) -> PairTask:
    past, future, _, items = two_kinds()
    return build_pair_task(past, future, len(items), seed, max_positives)


def test_positives_are_first_meetings_in_the_window():
    past, future = (np.array([0, 1]), np.array([3, 3])), (np.array([0, 0, 0, 1]), np.array([3, 4, 4, 5]))
    task = build_pair_task(past, future, num_items=9, seed=1, max_positives=10)
    positive = task.label == 1
    assert list(zip(task.user_idx[positive], task.item_idx[positive], strict=True)) == [(0, 4), (1, 5)]


def test_negatives_never_met_and_are_as_many():
    past, future, _, _ = two_kinds()
    task = task_of()
    met = {pair for rows in (past, future) for pair in zip(*(side.tolist() for side in rows), strict=True)}
    negative = task.label == 0
    drawn = list(zip(task.user_idx[negative].tolist(), task.item_idx[negative].tolist(), strict=True))
    assert not met & set(drawn)
    assert len(drawn) == task.num_positives
    np.testing.assert_array_equal(np.sort(task.user_idx[negative]), np.sort(task.user_idx[~negative]))


def test_half_of_the_negatives_follow_popularity():
    past = (np.arange(400), np.zeros(400, np.int64))
    future = (np.arange(400, 800), np.full(400, 1))
    task = build_pair_task(past, future, num_items=1000, seed=1, max_positives=400)
    popular = task.item_idx[task.label == 0] == 0
    assert 0.45 < popular.mean() < 0.55


def test_a_user_who_met_everything_has_no_negative():
    everything = (np.zeros(3, np.int64), np.arange(3))
    task = build_pair_task((everything[0][:1], everything[1][:1]), everything, 3, seed=1, max_positives=10)
    assert task.num_positives == 2
    assert (task.label == 0).sum() == 0


def test_too_many_positives_are_sampled_down():
    assert task_of(max_positives=50).num_positives == 50


def test_too_little_evidence_is_said_with_its_number():
    assert task_of().too_small == ""
    assert task_of(max_positives=30).too_small.startswith("not enough evidence: n=30 positives of")


def test_what_a_representation_carries_decides():
    _, _, users, items = two_kinds()
    task, blind = task_of(), np.random.default_rng(3).normal(size=users.shape).astype(np.float32)
    told = probe(task, users, items, seed=1)
    assert auc(told.score, task.label) > 0.7
    assert auc(probe(task, blind, items, seed=1).score, task.label) < 0.6
    assert ((told.probability > 0.5) == (told.score > 0)).all()


def test_every_user_is_scored_by_a_model_that_never_saw_them():
    """Users whose vector is only a name can be learned by heart, but not judged."""
    _, _, users, items = two_kinds()
    task, names = task_of(), np.eye(len(users), dtype=np.float32)
    assert auc(probe(task, names, items, seed=1).score, task.label) < 0.6


def test_users_who_met_every_item_leave_nothing_to_tell_apart() -> None:
    users, items = np.divmod(np.arange(30 * 10), 10)
    early = items < 5
    task = build_pair_task((users[early], items[early]), (users[~early], items[~early]), 10, 1, 1000)
    assert (task.num_positives, len(task.label)) == (150, 150)
    assert task.too_small == "not enough evidence: n=0 pairs without interaction, users know nearly every item"
