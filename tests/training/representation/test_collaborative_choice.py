import numpy as np

from training.representation.collaborative import METHODS, CollaborativeConfig, IndexedLog
from training.representation.collaborative_choice import _pairwise_auc, choose_method


def readers(num_users: int, per_user: int, sessions_mixed: bool) -> IndexedLog:
    """Two kinds of readers in time order; when mixed, a session holds steps of anybody."""
    generator = np.random.default_rng(2)
    steps = [
        (user, 20 * (user % 2) + int(generator.integers(20))) for _ in range(per_user) for user in range(num_users)
    ]
    users, items = np.array(steps, dtype=np.int64).T
    sessions = generator.permutation(len(users)) // 8 if sessions_mixed else users
    return IndexedLog(
        user_idx=users, item_idx=items, session_idx=sessions.astype(np.int64), num_users=num_users, num_items=40
    )


def test_a_named_method_is_not_questioned():
    config = CollaborativeConfig(method="interaction_svd")
    assert choose_method(readers(10, 4, False), config, 4, seed=1) == ("interaction_svd", {})


def test_too_little_history_takes_the_first():
    assert choose_method(readers(4, 3, False), CollaborativeConfig(), 4, seed=1) == (METHODS[0], {})


def test_the_choice_is_the_best_on_the_held_out_tenth():
    method, scores = choose_method(readers(60, 20, True), CollaborativeConfig(), 8, seed=1)
    assert set(scores) == set(METHODS)
    assert scores[method] == max(scores.values())
    assert scores[method] > 0.6
    assert scores["ppmi_session"] < scores["ppmi_window"], "sessions that mix people say nothing about taste"


def test_the_same_seed_chooses_the_same():
    first, second = (choose_method(readers(60, 20, True), CollaborativeConfig(), 8, seed=1) for _ in range(2))
    assert first == second


def test_the_auc_is_that_of_summing_and_comparing_one_pair_at_a_time():
    log = readers(60, 20, True)
    generator = np.random.default_rng(4)
    vectors = generator.normal(size=(40, 5)).astype(np.float32)
    users, items = generator.integers(10, 50, 300), generator.integers(0, 40, 300)
    negatives = generator.integers(0, 40, (300, 3))
    wins = []
    for user, item, others in zip(users, items, negatives, strict=True):
        own = log.item_idx[log.user_idx == user]
        taste = np.zeros(5)
        for met in own:
            taste += vectors[met]
        unmet = [other for other in others if other != item and other not in own]
        wins += [float(taste @ vectors[item] > taste @ vectors[other]) for other in unmet]
    assert _pairwise_auc(log, vectors, users, items, negatives) == np.mean(wins)
