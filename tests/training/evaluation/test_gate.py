from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.contracts.artefacts import Check, GateDecision
from training.contracts.partitions import Partition
from training.evaluation.gate import bootstrap_interval, decide, no_worse, render
from training.settings import Settings

DAY = Partition.parse("2026-11-05")


def _check(name: str, passed: bool) -> Check:
    return Check(name=name, passed=passed, observed="0.10 < floor", allowed=">= 0.20")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


def test_all_checks_passed_is_accepted_and_the_page_says_so(settings: Settings) -> None:
    decision = decide(settings, "matching 20261105-0badcafe", DAY, [_check("recall", True)])
    page = (settings.home / decision.report).read_text()
    assert decision.accepted
    assert decision.reasons == ()
    assert "accepted" in page
    assert "2026-11-05" in page


def test_one_failed_check_refuses_and_names_the_reason_first(settings: Settings) -> None:
    decision = decide(settings, "matching", DAY, [_check("good", True), _check("bad", False)])
    page = (settings.home / decision.report).read_text()
    assert not decision.accepted
    assert decision.reasons == ("bad: 0.10 < floor, allowed >= 0.20",)
    assert page.index("bad") < page.index("good")
    assert "0.10 &lt; floor" in page


def test_no_checks_is_a_refusal_that_says_so(settings: Settings) -> None:
    decision = decide(settings, "matching", DAY, [])
    assert not decision.accepted
    assert decision.reasons == ("any check: none, allowed at least one",)
    assert GateDecision.from_dict(decision.to_dict()) == decision


def test_the_page_is_a_table_of_the_checks_under_the_verdict(settings: Settings) -> None:
    checks = [_check("söt", True), Check(name="bad", passed=False, observed="1", allowed="0")]
    decision = decide(settings, "m <b>", DAY, checks)
    page = (settings.home / decision.report).read_bytes().decode("utf-8")
    assert page == render(decision)
    assert "<title>m &lt;b&gt; 2026-11-05: refused</title>" in page
    assert '<h1>m &lt;b&gt;: <span class="no">refused</span></h1>' in page
    assert "<p>Partition 2026-11-05. 1 of 2 checks failed; what is live stays.</p>" in page
    rows = page[page.index("<tr><td>") : page.index("\n</table>")]
    assert rows.split("\n") == [
        '<tr><td>bad</td><td>1</td><td>0</td><td class="no">failed</td></tr>',
        '<tr><td>söt</td><td>0.10 &lt; floor</td><td>&gt;= 0.20</td><td class="yes">passed</td></tr>',
    ]


def test_a_page_without_checks_has_no_table_and_one_of_passed_checks_says_so(settings: Settings) -> None:
    lacking = render(decide(settings, "m", DAY, [], "no picks"))
    assert lacking.endswith("Nothing was trained, and nothing waits for it.</p>\n</body></html>\n")
    accepted = render(decide(settings, "m", DAY, [_check("x", True)]))
    assert '<span class="yes">accepted</span>' in accepted
    assert "<p>Partition 2026-11-05. Every check passed.</p>" in accepted


def test_deciding_twice_leaves_the_same_bytes(settings: Settings) -> None:
    first = decide(settings, "a/b c", DAY, [_check("x", True)])
    before = (settings.home / first.report).read_bytes()
    second = decide(settings, "a/b c", DAY, [_check("x", True)])
    assert second == first
    assert (settings.home / second.report).read_bytes() == before
    assert first.report == "reports/gates/2026-11-05/a-b-c.html"


@pytest.mark.parametrize(
    ("subject", "name"),
    [("../../etc", "etc"), ("a_b.c-d 1", "a_b.c-d-1"), ("XXL", "XXL"), ("XX a", "XX-a"), ("//", "gate"), (".x.", "x")],
)
def test_a_subject_names_a_file_of_the_reports_folder(settings: Settings, subject: str, name: str) -> None:
    decision = decide(settings, subject, DAY, [_check("x", True)])
    assert decision.report == f"reports/gates/2026-11-05/{name}.html"
    assert (settings.home / decision.report).resolve().is_relative_to(settings.reports_dir)


def test_interval_of_a_constant_difference_is_that_constant() -> None:
    assert bootstrap_interval(np.full(10, 0.25), seed=1) == (0.25, 0.25)


def test_interval_covers_the_mean_and_depends_only_on_the_seed() -> None:
    values = np.random.default_rng(0).normal(0.3, 1.0, 400)
    low, high = bootstrap_interval(values, seed=3)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.2)
    assert bootstrap_interval(values, seed=3) == (low, high)
    assert bootstrap_interval(values, seed=4) != (low, high)


def test_each_end_of_the_interval_leaves_out_half_of_the_rest() -> None:
    values = np.random.default_rng(0).normal(0.3, 1.0, 400)
    error = values.std() / 20
    for level, z in ((0.95, 1.96), (0.5, 0.674)):
        low, high = bootstrap_interval(values, 3, level, draws=10_000)
        assert (values.mean() - low) / error == pytest.approx(z, rel=0.05)
        assert (high - values.mean()) / error == pytest.approx(z, rel=0.05)


def test_every_unit_is_drawn_and_a_thousand_times_unless_told_otherwise() -> None:
    first_alone = np.array([1.0, 0.0, 0.0, 0.0])
    assert bootstrap_interval(first_alone, seed=1)[1] > 0
    assert bootstrap_interval(first_alone[::-1], seed=1)[1] > 0
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1, draws=1000)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=1, draws=1001)


def test_means_are_summed_in_double_precision() -> None:
    values = np.float32([16_777_216.0, 1.0, 1.0, 1.0] * 50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values.astype(np.float64), seed=1)


def test_interval_narrows_with_the_level() -> None:
    values = np.random.default_rng(0).normal(size=200)
    wide, narrow = bootstrap_interval(values, 1, 0.99), bootstrap_interval(values, 1, 0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_interval_without_units_says_that_nothing_is_known() -> None:
    assert bootstrap_interval(np.array([]), seed=1) == (-np.inf, np.inf)


def test_no_worse_tells_noise_from_loss() -> None:
    rng = np.random.default_rng(0)
    champion = rng.random(300)
    assert no_worse("noise", champion + rng.normal(0, 0.1, 300), champion, seed=1).passed
    lost = no_worse("loss", champion - 0.1 + rng.normal(0, 0.1, 300), champion, seed=1)
    assert not lost.passed
    assert "difference in [-0." in lost.observed


def test_the_same_seed_gives_the_same_check() -> None:
    rng = np.random.default_rng(0)
    champion, challenger = rng.random(300), rng.random(300)
    assert no_worse("x", challenger, champion, seed=1) == no_worse("x", challenger, champion, seed=1)


def test_a_comparison_says_what_was_seen_and_what_is_allowed() -> None:
    reference = np.full(10, 0.5)
    check = no_worse("ndcg", np.full(10, 0.25), reference, seed=1, margin=0.1)
    assert check.name == "ndcg"
    assert check.observed == "0.2500 against 0.5000, difference in [-0.2500, -0.2500]"
    assert check.allowed == "95 % interval not wholly below -0.0500"


def test_a_loss_that_reaches_to_the_margin_and_no_further_passes() -> None:
    reference = np.full(10, 0.5)
    assert no_worse("ndcg", np.full(10, 0.375), reference, seed=1, margin=0.25).passed
    assert not no_worse("ndcg", np.full(10, 0.3749), reference, seed=1, margin=0.25).passed


def test_no_worse_without_units_does_not_block() -> None:
    check = no_worse("empty", np.array([]), np.array([]), seed=1)
    assert check.passed
    assert check.observed == "not measured: nobody has held-out pairs to compare on"
    assert check.allowed == "95 % interval not wholly below +0.0000"


def test_page_counts_the_failed_checks(settings: Settings) -> None:
    decision = decide(settings, "m", DAY, [_check("a", False), _check("b", False), _check("c", True)])
    assert "2 of 3 checks failed" in render(decision)


def test_a_significant_loss_within_the_margin_passes_and_beyond_it_does_not() -> None:
    reference = np.full(200, 0.5)
    challenger = reference - 0.01
    assert not no_worse("ndcg", challenger, reference, seed=1).passed
    assert no_worse("ndcg", challenger, reference, seed=1, margin=0.03).passed
    assert not no_worse("ndcg", challenger, reference, seed=1, margin=0.01).passed


def test_what_a_log_lacks_is_neither_accepted_nor_refused(settings: Settings) -> None:
    decision = decide(settings, "cold_start v1", DAY, [], "no user has an attribute")
    page = (settings.home / decision.report).read_text()
    assert (decision.accepted, decision.checks, decision.reasons) == (False, (), ())
    assert decision.verdict == "not applicable"
    assert decision.account == "not applicable: no user has an attribute"
    assert "<table>" not in render(decision)
    assert "Not applicable: no user has an attribute" in page
    assert "refused" not in page
    assert GateDecision.from_dict(decision.to_dict()) == decision


def test_a_decision_of_before_there_was_such_a_thing_is_read(settings: Settings) -> None:
    values = decide(settings, "m", DAY, [_check("a", False)]).to_dict()
    del values["not_applicable"]
    assert GateDecision.from_dict(values).verdict == "refused"


def test_a_check_that_was_not_measured_is_counted_and_shown_as_such(settings: Settings) -> None:
    empty = no_worse("ndcg", np.array([]), np.array([]), seed=1)
    assert (empty.outcome, empty.passed) == ("not measured", True)
    assert "nan" not in empty.observed + empty.allowed
    assert "inf" not in empty.observed + empty.allowed
    decision = decide(settings, "m", DAY, [_check("finite", True), empty])
    page = render(decision)
    assert decision.accepted
    assert "1 of 2 checks could not be measured" in page
    assert page.index("ndcg") < page.index("finite")
