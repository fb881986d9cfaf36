"""Turn a consumer's evidence into the checks of its gate."""

from __future__ import annotations

from training.contracts.artefacts import Check
from training.evaluation.gate import no_worse
from training.ranking.evidence import CHAMPION, Evidence

CHAMPION_MARGIN = 0.03
"""Share of the champion's NDCG that a challenger may lack: many paired units make the smallest loss significant, and
consumers that never moved would hold the space back."""


def checks_of(evidence: Evidence, seed: int) -> list[Check]:
    """Return the gate's checks: finite vectors, both tasks against their baseline, and against the champion.

    Without held-out rows there is nothing to compare: the comparison is not measured, and says so.
    """
    checks = [
        Check(
            name="finite vectors",
            passed=evidence.finite,
            observed="all finite" if evidence.finite else "some not finite",
            allowed="every value finite",
        )
    ]
    if not evidence.scores:
        why = "too few held-out pairs of known users and items to compare on"
        checks.append(Check.not_measured("NDCG@20 against popularity and activity", why, "no worse than that"))
    for rival in evidence.rivals:
        for task, baseline in evidence.compared_with(rival):
            margin = CHAMPION_MARGIN if rival == CHAMPION else 0.0
            checks.append(no_worse(f"{task} NDCG@20 against {rival}", evidence.own(task), baseline, seed, margin))
    return checks
