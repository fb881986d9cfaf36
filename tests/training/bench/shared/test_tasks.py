"""Indices of a problem, by hand."""

import pandas as pd

from training.bench.shared.logs import PublicLog
from training.bench.shared.splits import first_interactions
from training.bench.shared.tasks import make_problem


def problem(protocol):
    rows = [(10 * (n % 3), 100 + n % 5, n) for n in range(15)] + [(99, 100, 50), (0, 103, 60), (20, 104, 70)]
    frame = first_interactions(pd.DataFrame(rows, columns=["user_id", "item_id", "occurred_at"]))
    return make_problem(PublicLog("toy", frame, None, "0" * 12), protocol)


def test_test_task_holds_known_ids_only():
    task = problem("temporal").test
    assert task.users.tolist() == [0, 10, 20]
    assert task.items.tolist() == [100, 101, 102, 103, 104]
    assert task.held_out.nnz == 3, "user 99 is unknown, and pairs seen before are not asked again"
    assert task.held_out.shape == (3, 5)
    assert task.log.occurred_at.max() < 50


def test_held_out_pairs_are_never_in_the_log():
    for protocol in ("temporal", "loo"):
        one = problem(protocol)
        for task in (one.validation, one.test):
            assert task.log.matrix.multiply(task.held_out).nnz == 0


def test_validation_lies_inside_training():
    one = problem("temporal")
    assert len(one.validation.log.user_idx) < len(one.test.log.user_idx)
    assert one.validation.held_out.nnz <= len(one.test.log.user_idx) - len(one.validation.log.user_idx)
    assert one.label == "toy temporal"
    assert (one.test.k, problem("loo").test.k) == (20, 10)
