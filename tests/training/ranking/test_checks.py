from __future__ import annotations

from tests.training.ranking.world import two_tastes
from training.consumers.matching.consumer import MatchingConfig
from training.consumers.matching.search import search_and_train
from training.ranking.checks import checks_of
from training.ranking.evidence import Evidence

CONFIG = MatchingConfig(widths=(4, 8), max_epochs=1)


def test_checks_name_each_task_against_each_rival() -> None:
    evidence = search_and_train(two_tastes(), CONFIG, None).evidence
    names = [check.name for check in checks_of(evidence, seed=1)]
    assert names == [
        "finite vectors",
        "recommendation NDCG@20 against popularity and activity",
        "targeting NDCG@20 against popularity and activity",
    ]


def test_a_model_worse_than_popularity_fails_its_gate() -> None:
    evidence = search_and_train(two_tastes(), CONFIG, None).evidence
    swapped = Evidence(scores={"own": evidence.scores["popularity and activity"], "rival": evidence.scores["own"]})
    failed = [check.name for check in checks_of(swapped, seed=1) if not check.passed]
    assert "recommendation NDCG@20 against rival" in failed


def test_vectors_that_are_not_finite_fail() -> None:
    finite, unmeasured = checks_of(Evidence(finite=False), seed=1)
    assert (finite.outcome, unmeasured.outcome) == ("failed", "not measured")
