import json

import pytest

from training.contracts.artefacts import Check, GateDecision, ModelRef

PASSED = Check(name="auc", passed=True, observed="0.71", allowed=">= 0.70")
FAILED = Check(name="effective rank", passed=False, observed="3.0", allowed=">= 12")
DECISION = GateDecision(
    subject="20261105-1f2e3d4c", partition="2026-11-05", accepted=False, checks=(PASSED, FAILED), report="a.html"
)


def test_a_decision_survives_json() -> None:
    assert GateDecision.from_dict(json.loads(DECISION.to_json())) == DECISION


def test_only_failed_checks_are_reasons() -> None:
    assert DECISION.reasons == ("effective rank: 3.0, allowed >= 12",)


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="batch_id"):
        ModelRef.from_dict({"consumer": "matching", "version": "v", "space_id": "s", "partition": "p", "batch_id": 1})
