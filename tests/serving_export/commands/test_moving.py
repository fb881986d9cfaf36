"""What is served moves, and what cannot follow at once is named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from serving_export.__main__ import main
from tests.serving_export.world import DAY1, DAY2, World


def test_pin_and_unpin(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    [space_id] = world.promote(DAY1)
    assert main(["pin", "team", space_id]) == 0
    assert world.ledger.pins() == {"team": space_id}
    assert main(["unpin", "team", "--json"]) == 0
    assert main(["unpin", "team"]) == 1
    assert "none named team" in capsys.readouterr().err
    assert main(["pin", "team", "20260101-00000000"]) == 1


def test_refresh_and_promote_answer_even_when_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["refresh", "--partition", "2026-11-01"]) == 0
    assert "no space is live" in capsys.readouterr().out
    assert main(["promote", "--partition", "2026-11-01"]) == 0
    assert "not promoted: no candidate space" in capsys.readouterr().out


def test_rollback_without_mlflow_moves_says_so_and_names_what_is_pending(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(world, "settings", replace(world.settings, frame="none"))  # its real online store is empty
    first, _ = world.promote(DAY1, DAY2)
    monkeypatch.setenv("ATTUNE_MLFLOW_URI", "http://127.0.0.1:1")
    assert main(["rollback"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"live is now space {first} of 2026-11-01 (pointer 3)\n")
    assert "MLflow is not in line yet (expected MLflow to answer at http://127.0.0.1:1" in shown
    assert main(["rollback", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["moved"], again["live"]["space_id"]) == (False, first)
    assert [intent["kind"] for intent in world.ledger.intents("done")][-1] == "rollback"
    assert world.ledger.intents("open") == [], "the one that moved nothing is not under way"
    assert main(["reconcile"]) == 1
    assert "error: MLflow: expected MLflow to answer" in capsys.readouterr().err
    monkeypatch.delenv("ATTUNE_MLFLOW_URI")
    assert main(["reconcile"]) == 0
    assert capsys.readouterr().out == f"in line with space {first} of 2026-11-01\n"
