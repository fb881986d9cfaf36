"""The command line answers, or fails in one line with the right exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from serving_export.__main__ import build_parser, main
from serving_export.lookup import EmbeddingStore
from tests.serving_export.world import DAY1, DAY2, World
from training.settings import Settings

COMMANDS = ["lookup", "status", "lineage", "serve", "recommend", "target", "rank", "rollback", "pin", "unpin"]
COMMANDS += ["refresh", "promote", "reconcile", "similar-users", "similar-items", "history", "frame-start", "items"]
GROUPS = ["tokens"]


@pytest.fixture(autouse=True)
def _in_this_home(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_HOME", str(world.settings.home))


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS, ""])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        build_parser().parse_args([*command.split(), "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    if command not in GROUPS:
        assert ("--json" in shown) if command else all(name in shown for name in [*COMMANDS, *GROUPS])


@pytest.mark.parametrize(
    "arguments",
    [[], ["nothing"], ["lookup"], ["refresh", "--partition", "today"], ["serve", "--workers", "0"], ["tokens"]],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


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


def test_rankings_and_their_file(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world.promote(DAY1)
    assert main(["recommend", "--user", "u03", "--k", "3", "--json"]) == 0
    best = json.loads(capsys.readouterr().out)["ids"]
    assert main(["target", "--item", "i04", "--k", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    wanted, out = tmp_path / "ids", tmp_path / "out.tsv"
    wanted.write_text("u03\nnobody\n\n")
    assert main(["rank", "--task", "recommend", "--k", "3", "--ids", str(wanted), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == 1
    assert out.read_text() == f"u03\t{' '.join(best)}\n"
    lines = tmp_path / "out.jsonl"
    assert main(["rank", "--task", "recommend", "--k", "3", "--ids", str(wanted), "--out", str(lines)]) == 0
    assert json.loads(lines.read_text())["ids"] == best
    assert main(["rank", "--task", "target", "--out", str(lines), "--format", "tsv"]) == 0
    assert lines.read_text().startswith("i00\t")
    assert main(["rank", "--task", "target", "--ids", str(tmp_path / "none"), "--out", str(out)]) == 1
    assert "expected a file of ids" in capsys.readouterr().err


def test_neighbours_of_users_and_items(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    [space_id] = world.promote(DAY1)
    assert main(["similar-users", "--user", "u05", "--k", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["query"], len(answer["ids"]), answer["space_id"]) == ("u05", 3, space_id)
    assert main(["similar-items", "--item", "i03", "--k", "3"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert sorted(lines, key=lambda line: -float(line[1])) == lines
    assert main(["similar-items", "--item", "i99"]) == 1
    assert "unknown item 'i99'" in capsys.readouterr().err


def test_past_vectors_of_a_file_of_rows(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.parquet as pq

    world.promote(DAY1)
    rows, out = tmp_path / "rows.csv", tmp_path / "out.parquet"
    rows.write_text("user_id,as_of\nu05,2026-11-02\nu05,2026-11-01\n")
    assert main(["history", "--rows", str(rows), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2
    assert pq.read_table(out)["partition"].to_pylist() == ["2026-11-01", None]
    assert main(["history", "--rows", str(rows), "--out", str(out), "--unknown", "raise"]) == 1
    assert main(["history", "--rows", str(tmp_path / "none"), "--out", str(out)]) == 1
    assert "check --rows" in capsys.readouterr().err


def test_an_answer_by_popularity_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.promote(DAY1)
    capsys.readouterr()
    assert main(["recommend", "--user", "u10", "--k", "2"]) == 0
    assert capsys.readouterr().out.startswith("by popularity: ")
    assert main(["recommend", "--user", "u10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fallback"] is True
    assert main(["recommend", "--user", "nobody"]) == 1
    assert main(["recommend", "--user", "nobody", "--unknown", "popularity", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["query"], answer["consumer"], answer["version"]) == ("nobody", "popularity", "2026-11-01")


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
    assert main(["reconcile"]) == 1
    assert "error: MLflow: expected MLflow to answer" in capsys.readouterr().err
    monkeypatch.delenv("ATTUNE_MLFLOW_URI")
    assert main(["reconcile"]) == 0
    assert capsys.readouterr().out == f"in line with space {first} of 2026-11-01\n"


def test_debug_shows_the_traceback_that_is_hidden_otherwise(world: World) -> None:
    with pytest.raises(ValueError, match="promote a space first"):
        main(["lookup", "--user", "u01", "--debug"])


def test_an_unforeseen_error_is_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.promote(DAY1)
    (world.settings.published_dir / "pointer.json").write_text("{")
    assert main(["lookup", "--user", "u01"]) == 1
    assert capsys.readouterr().err.startswith("error: JSONDecodeError")


@pytest.mark.integration
def test_rollback_and_lineage_as_processes(world: World, fresh_mlflow: Callable[[Settings], Settings]) -> None:
    fresh_mlflow(world.settings)
    first, _ = world.promote(DAY1, DAY2)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving_export", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert json.loads(run("rollback", "--json").stdout)["live"]["space_id"] == first
    traced = json.loads(run("lineage", "--user", "u01", "--json").stdout)
    assert (traced["snapshot"]["space_id"], traced["pointer"]["kind"]) == (first, "rollback")
    assert run("rollback").stdout.startswith(f"nothing moved: space {first} of 2026-11-01 is live since the rollback")
    again = run("rollback", "--further")
    assert (again.returncode, again.stdout) == (1, "")
    assert "only one space was ever promoted" in again.stderr


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
