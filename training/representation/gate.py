"""Turn a space's evaluation into checks: healthy, not adrift, reconstructing, and no worse than plain averages.

A figure that could not be had for want of labels passes with its reason: young homes must be able to start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from training.contracts.artefacts import Check

MIN_RANK_SHARE = 0.05
MIN_OVERLAP = 0.1
NORM_RATIO = (0.5, 2.0)
MIN_BLOCK_USERS_LOSS = 1e-3


def checks_of(evaluation: Mapping[str, Any]) -> list[Check]:
    """Return every check of a candidate space's `evaluation.json`."""
    checks = [*_vector_checks(evaluation["vectors"]), _reconstruction_check(evaluation)]
    checks.append(_auc_check("seven-day AUC against mean of items", evaluation["seven_day"], "z", "mean_of_items"))
    if "live" in evaluation:
        checks += _drift_checks(evaluation["live"])
        checks.append(_auc_check("seven-day AUC against live", evaluation["live"]["seven_day"], "challenger", "live"))
    return checks


def _vector_checks(vectors: Mapping[str, Any]) -> Iterator[Check]:
    finite = bool(vectors["finite"]) and vectors["num_users"] > 0
    yield Check(
        name="finite vectors",
        passed=finite,
        observed=f"{vectors['num_users']} users, {'all finite' if finite else 'some not finite or none'}",
        allowed="every value finite, at least one user",
    )
    floor = MIN_RANK_SHARE * min(vectors["width"], max(vectors["num_users"] - 1, 1))
    yield Check(
        name="effective rank",
        passed=vectors["effective_rank"] >= floor,
        observed=f"{vectors['effective_rank']:.1f} of {vectors['width']}"
        + ("" if vectors["effective_rank"] else ": no two users differ"),
        allowed=f"at least {floor:.1f}",
    )


def _reconstruction_check(evaluation: Mapping[str, Any]) -> Check:
    """Blocks together must be reconstructed better than by the mean; the worst one is named."""
    own, mean = evaluation["reconstruction"], evaluation["mean_prediction"]
    ratios = {name: own[name] / mean[name] for name in mean if mean[name] > MIN_BLOCK_USERS_LOSS and name in own}
    check, allowed = "reconstruction against the mean predictor", "below 1 over all blocks"
    if not ratios:
        return Check.not_measured(check, "no block of inputs differs between held-out users", allowed)
    total = sum(own[name] for name in ratios) / max(sum(mean[name] for name in ratios), 1e-12)
    worst = max(ratios, key=lambda name: ratios[name])
    observed = f"{total:.3f} of its loss over all blocks, worst {worst} with {ratios[worst]:.3f}"
    return Check(name=check, passed=total < 1.0, observed=observed, allowed=allowed)


def _drift_checks(live: Mapping[str, Any]) -> Iterator[Check]:
    low, high = NORM_RATIO
    yield Check(
        name="norm drift",
        passed=low <= live["norm_ratio"] <= high,
        observed=f"mean length {live['norm_ratio']:.2f} times that of {live['space_id']}",
        allowed=f"{low} to {high} times",
    )
    allowed = max(MIN_OVERLAP, 1.5 * live["chance_overlap"]) if live["chance_overlap"] < 0.5 else live["chance_overlap"]
    yield Check(
        name="neighbour overlap with live",
        passed=live["neighbour_overlap"] >= allowed,
        observed=f"{live['neighbour_overlap']:.2f}",
        allowed=f"at least {allowed:.2f} (by chance {live['chance_overlap']:.2f})",
    )


def _auc_check(name: str, comparison: Mapping[str, Any], subject: str, baseline: str) -> Check:
    allowed = "95 % interval of the difference not wholly below 0"
    if "representations" not in comparison:
        return Check.not_measured(name, str(comparison["evidence"]), allowed)
    own, other = comparison["representations"][subject], comparison["representations"][baseline]
    low, high = own["auc_gain_interval"]
    observed = f"{own['auc']:.4f} against {other['auc']:.4f}, difference in [{low:+.4f}, {high:+.4f}]"
    return Check(name=name, passed=high >= 0, observed=observed, allowed=allowed)
