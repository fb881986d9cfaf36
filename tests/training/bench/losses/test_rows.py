"""Every loss is trained and judged alike; what a line is served with follows from its loss."""

import numpy as np
import pandas as pd
import pytest

from training.bench.losses import rows as losses
from training.bench.losses.rows import FOR_ITEMS, POST_HOC, LossStudy, lines_of, loss_rows, pairs_of
from training.bench.shared.cache import Cache
from training.bench.shared.logs import PublicLog, content_hash
from training.bench.shared.tasks import make_problem
from training.consumers.matching.initialisation import ItemStart
from training.losses.family import PAIR_LOSSES

STUDY = LossStudy(taus=(0.1, 0.3), max_epochs=1)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    rows = [(f"u{user}", f"i{2 * rng.integers(10) + user % 2}", n) for n, user in enumerate(rng.integers(0, 30, 500))]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "occurred_at"]).drop_duplicates(["user_id", "item_id"])
    frame = frame.assign(position=frame.groupby("user_id").cumcount()).reset_index(drop=True)
    return make_problem(PublicLog("toy", frame, None, content_hash(frame)), "temporal")


def test_a_row_per_line_with_both_tasks_and_their_mean(problem, tmp_path):
    rows = loss_rows(problem, Cache(tmp_path), (1, 2), STUDY, ("sim_clr", "row_bcnce"))
    assert [row.model for row in rows] == ["sim_clr", POST_HOC, "row_bcnce", FOR_ITEMS]
    for row in rows:
        assert row.params["tau"] in STUDY.taus
        mean = (row.metrics["ndcg@20"] + row.metrics["target_ndcg@20"]) / 2
        assert row.metrics["mean_ndcg"] == pytest.approx(mean)
        assert row.metrics["mean_ndcg"] > 0
    assert rows[0].metrics != rows[1].metrics


def test_results_are_kept_by_configuration(problem, tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    first = loss_rows(problem, cache, (1,), STUDY, ("info_nce",))
    monkeypatch.setattr(losses, "_measure", lambda *arguments: pytest.fail("computed again"))
    assert loss_rows(problem, cache, (1,), STUDY, ("info_nce",)) == first
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        loss_rows(problem, cache, (2,), STUDY, ("info_nce",))


@pytest.mark.parametrize("name", ["info_nce", "row_bcnce", "column_bcnce", "bbcnce"])
def test_a_loss_starts_with_the_terms_of_its_minimiser(problem, name):
    pairs, config = pairs_of(problem.test), STUDY.of(name, 0.1)
    start = ItemStart(pairs, 64, 0, ordered=False)
    _, user_terms, _, item_terms = losses._parts(losses._started(start, config), pairs, name)
    joint = user_terms[:, None] + item_terms[None, :]
    loss, (p_users, p_items) = PAIR_LOSSES[name], (pairs.user_counts() / len(pairs), pairs.item_counts() / len(pairs))
    expected = np.zeros_like(joint)
    if loss.holds_items:
        expected = expected + np.log(p_items * pairs.num_items + 0.5 * pairs.num_items / len(pairs))[None, :]
    if loss.holds_users:
        expected = expected + np.log(p_users * pairs.num_users)[:, None]
    assert np.allclose(joint, expected, atol=1e-4)


def test_the_marginals_are_added_after_training_for_the_post_hoc_line_alone(problem):
    pairs = pairs_of(problem.test)
    tower = losses._started(ItemStart(pairs, 64, 0, ordered=False), STUDY.of("sim_clr", 0.1))
    plain, post_hoc = losses._parts(tower, pairs, "sim_clr"), losses._parts(tower, pairs, POST_HOC)
    assert np.allclose(post_hoc[3] - plain[3], np.log(pairs.item_counts() + 0.5))
    assert np.allclose(post_hoc[1] - plain[1], np.log(pairs.user_counts() + 0.5))
    assert np.array_equal(post_hoc[0], plain[0])


def test_lines_share_the_training_of_their_loss():
    assert lines_of("sim_clr") == ("sim_clr", POST_HOC)
    assert lines_of("bbcnce") == ("bbcnce",)
    assert lines_of("row_bcnce") == ("row_bcnce", FOR_ITEMS)
