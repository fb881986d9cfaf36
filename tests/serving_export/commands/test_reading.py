"""Vectors and the state of the home, as text and as JSON."""

from __future__ import annotations

import json

import pytest

from serving_export.__main__ import main
from serving_export.lookup import EmbeddingStore
from tests.serving_export.world import DAY1, DAY2, World


def test_lookup_prints_each_user(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    [space_id] = world.promote(DAY1)
    assert main(["lookup", "--user", "u01", "--user", "u02", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [user["user_id"] for user in answer["users"]] == ["u01", "u02"]
    assert {"vector", "space_id", "as_of", "age", "stale"} <= set(answer["users"][0])
    assert answer["space_id"] == space_id
    assert main(["lookup", "--user", "u01"]) == 0
    assert capsys.readouterr().out.startswith(f"space {space_id}, as of 2026-11-02")


def test_an_unknown_user_exits_1_with_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.promote(DAY1)
    assert main(["lookup", "--user", "u01", "--user", "nobody", "--json"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["unknown"] == ["nobody"]
    assert shown.err.startswith("error: expected users known as of 2026-11-01, found unknown 'nobody'")
    assert shown.err.count("\n") == 1


def test_an_empty_home_fails_in_one_line_and_has_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lookup", "--user", "u01"]) == 1
    assert "promote a space first" in capsys.readouterr().err
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["live"] is None


def test_a_frame_is_looked_up_and_ended_by_name(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame = f"frame-{first}"
    assert main(["lookup", "--user", "u01", "--frame", frame]) == 0
    assert capsys.readouterr().out.startswith(f"{frame} by space {second}, as of 2026-11-03")
    assert main(["lookup", "--user", "u01", "--frame", frame, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frame"] == frame
    assert main(["lookup", "--user", "u01", "--frame", "frame-x"]) == 1
    assert f"expected frame-x, found {frame}" in capsys.readouterr().err
    world.ledger.pin("ads", frame)
    assert main(["frame-start", "--reason", "a new catalogue"]) == 0
    shown = capsys.readouterr().out
    assert shown == f"{frame} is in force no more; the next promotion begins a new one; to retrain on it: ads\n"


def test_items_are_printed_in_a_frame(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame = f"frame-{first}"
    assert main(["items", "--frame", frame, "--item", "i03", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    expected = EmbeddingStore(world.settings.published_dir).lookup_items(frame, ["i03"])
    assert (answer["space_id"], answer["items"]) == (
        second,
        [{"item_id": "i03", "vector": expected.vectors[0].tolist()}],
    )
    assert main(["items", "--frame", frame, "--item", "i03", "--item", "i99"]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{frame} by space {second}, of 2026-11-02\ni03\t")
    assert "found unknown 'i99'" in shown.err
