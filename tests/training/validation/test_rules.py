from __future__ import annotations

import great_expectations as gx
import pytest

from training.validation import rules


@pytest.mark.parametrize(
    "rule",
    [
        rules.columns_are(["a"]),
        rules.columns_include(["a"]),
        rules.num_rows(1),
        rules.num_rows(2, 2),
        rules.not_null("a"),
        rules.unique(["a"]),
        rules.unique(["a", "b"]),
        rules.one_of("a", [1]),
        rules.between("a", 0, 1),
        rules.at_least("a", "b"),
        rules.lengths("a", 1, 2),
    ],
    ids=lambda rule: rule.expectation,
)
def test_every_rule_is_an_expectation_with_words(rule: rules.Rule) -> None:
    assert getattr(gx.expectations, rule.expectation)(**rule.arguments)
    assert rule.allowed
    assert rule.subject


def test_words_say_which_side_is_open() -> None:
    assert rules.between("a", 0, 1).allowed == "at least 0, at most 1"
    assert rules.between("a", high=1, below=True).allowed == "below 1"
    assert rules.num_rows(2, 2).allowed == "exactly 2"
