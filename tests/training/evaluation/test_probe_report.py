import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.training.evaluation.test_probes import task_of, two_kinds
from training.evaluation.probe_report import auc, compare_representations


def test_auc_by_hand():
    assert auc(np.array([3.0, 2, 1]), np.array([1, 0, 0])) == 1.0
    assert auc(np.array([1.0, 1, 1]), np.array([1, 0, 0])) == 0.5
    assert auc(np.array([2.0, 3, 1]), np.array([1, 0, 0])) == 0.5
    assert np.isnan(auc(np.array([1.0, 2]), np.array([1, 1])))


@pytest.mark.parametrize("weighted", [False, True])
def test_auc_agrees_with_a_well_kept_library(weighted):
    generator = np.random.default_rng(0)
    score, label = generator.integers(0, 9, 300).astype(float), generator.integers(0, 2, 300)
    weight = generator.integers(0, 4, 300).astype(float) if weighted else None
    assert auc(score, label, weight) == pytest.approx(roc_auc_score(label, score, sample_weight=weight))


@pytest.fixture(scope="module")
def comparison():
    _, _, users, items = two_kinds()
    blind = np.random.default_rng(3).normal(size=users.shape).astype(np.float32)
    return compare_representations(task_of(), {"kind": users, "blind": blind}, items, "blind", seed=1)


def test_the_better_one_gains_over_the_baseline_with_an_interval(comparison):
    kind, blind = comparison["representations"]["kind"], comparison["representations"]["blind"]
    assert kind["auc_gain"] == pytest.approx(kind["auc"] - blind["auc"], abs=2e-5)
    assert kind["auc_gain_interval"][0] > 0
    assert kind["auc_interval"][0] < kind["auc"] < kind["auc_interval"][1]
    assert kind["accuracy"] > 0.6 > blind["accuracy"]
    assert blind["auc_gain_interval"] == [0.0, 0.0]


def test_it_says_how_much_evidence_there_was(comparison):
    task = task_of()
    assert comparison["evidence"] == f"{task.num_positives} positives of {task.num_users} users"


def test_too_few_labels_are_a_value():
    _, _, users, items = two_kinds()
    found = compare_representations(task_of(max_positives=10), {"kind": users}, items, "kind", seed=1)
    assert list(found) == ["evidence"]
    assert "n=10" in found["evidence"]
