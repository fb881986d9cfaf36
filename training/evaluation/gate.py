"""Decide whether an artefact may go on, and say why on one page.

A refusal is a value: yesterday's artefact goes on being served. The page holds no clock time, so deciding the same
partition twice leaves the same bytes.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.contracts.artefacts import Check, GateDecision
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import replace_file

logger = logging.getLogger(__name__)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{subject} {partition}: {verdict}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}td,th{{border-bottom:1px solid #ccc;padding:.4rem;text-align:left}}
.no{{color:#a00;font-weight:600}}.yes{{color:#060}}.open{{color:#850}}</style></head><body>
<h1>{subject}: <span class="{css}">{verdict}</span></h1>
<p>Partition {partition}. {summary}</p>
{table}</body></html>
"""
_TABLE = """<table><tr><th>check</th><th>observed</th><th>allowed</th><th></th></tr>
{rows}
</table>"""


_ORDER = ("failed", "not measured", "passed")
_CSS = {
    **{"accepted": "yes", "refused": "no", "not applicable": "open"},
    **{"passed": "yes", "failed": "no", "not measured": "open"},
}


def decide(
    settings: Settings, subject: str, partition: Partition, checks: Sequence[Check], not_applicable: str = ""
) -> GateDecision:
    """Return the decision over every check, and write its page to `reports/gates/<partition>/<subject>.html`.

    Args:
        settings: Says where reports lie.
        subject: What is judged, e.g. "matching 20261105-1f2e3d4c"; characters that a file name cannot hold become "-".
        partition: The partition whose artefact is judged.
        checks: At least one; all must pass. No check at all is a refusal, since nothing was shown.
        not_applicable: What the log lacks for there to be anything to judge; then no check is looked at.

    Returns:
        The decision; `report` is the page's path relative to the home.
    """
    judged = tuple(checks) or (Check(name="any check", passed=False, observed="none", allowed="at least one"),)
    judged = () if not_applicable else judged
    path = settings.reports_dir / "gates" / str(partition) / f"{_file_name(subject)}.html"
    decision = GateDecision(
        subject=subject,
        partition=str(partition),
        accepted=not not_applicable and all(check.passed for check in judged),
        checks=judged,
        report=path.relative_to(settings.home).as_posix(),
        not_applicable=not_applicable,
    )
    with replace_file(path) as temporary:
        temporary.write_text(render(decision), encoding="utf-8")
    logger.info("gate of %s on %s: %s", subject, partition, decision.account)
    return decision


def render(decision: GateDecision) -> str:
    """Return the page of a decision as HTML, failed checks first, then those that were not measured."""
    ordered = sorted(decision.checks, key=lambda check: _ORDER.index(check.outcome))
    return _PAGE.format(
        subject=html.escape(decision.subject),
        partition=html.escape(decision.partition),
        verdict=decision.verdict,
        css=_CSS[decision.verdict],
        summary=html.escape(_summary(decision)),
        table=_TABLE.format(rows="\n".join(map(_row, ordered))) if ordered else "",
    )


def _summary(decision: GateDecision) -> str:
    outcomes = [check.outcome for check in decision.checks]
    if decision.not_applicable:
        return f"Not applicable: {decision.not_applicable}. Nothing was trained, and nothing waits for it."
    if failed := outcomes.count("failed"):
        return f"{failed} of {len(outcomes)} checks failed; what is live stays."
    if unmeasured := outcomes.count("not measured"):
        return f"{unmeasured} of {len(outcomes)} checks could not be measured; every other one passed."
    return "Every check passed."


def bootstrap_interval(
    differences: NDArray[np.floating], seed: int, level: float = 0.95, draws: int = 1000
) -> tuple[float, float]:
    """Return the percentile interval of the mean of paired differences (challenger minus champion).

    `scipy.stats.bootstrap` gives the same interval, but refuses a single unit and takes a quarter longer on 10,000.

    Args:
        differences: float[N], one difference per unit (user or item) that both were scored on.
        seed: Seed of the resampling; equal seeds give equal intervals.
        level: Coverage in (0, 1).
        draws: Number of resamples.

    Returns:
        (low, high); (-inf, inf) without any unit, since then nothing is known.
    """
    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        return float("-inf"), float("inf")
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(draws)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def no_worse(
    name: str, challenger: NDArray[np.floating], reference: NDArray[np.floating], seed: int, margin: float = 0.0
) -> Check:
    """Return the check that `challenger` is not significantly below `reference`, paired by unit (non-inferiority).

    It fails only when the whole 95 % interval of the mean difference lies below minus the margin. Without any
    unit it is not measured.

    Args:
        name: Name of the check.
        challenger: float[N], metric per unit.
        reference: float[N], the same units in the same order.
        seed: Seed of the bootstrap.
        margin: Loss that is tolerated, as a share of the reference's mean.
    """
    allowed = "95 % interval not wholly below "
    if not len(challenger):
        return Check.not_measured(name, "nobody has held-out pairs to compare on", f"{allowed}{0.0:+.4f}")
    low, high = bootstrap_interval(challenger - reference, seed)
    floor = -margin * float(reference.mean())
    means = f"{challenger.mean():.4f} against {reference.mean():.4f}"
    observed = f"{means}, difference in [{low:+.4f}, {high:+.4f}]"
    return Check(name=name, passed=high >= floor, observed=observed, allowed=f"{allowed}{floor:+.4f}")


def _file_name(subject: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in subject)
    return kept.strip("-.") or "gate"


def _row(check: Check) -> str:
    mark = f'<td class="{_CSS[check.outcome]}">{check.outcome}</td>'
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in (check.name, check.observed, check.allowed))
    return f"<tr>{cells}{mark}</tr>"
