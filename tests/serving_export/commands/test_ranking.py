"""Rankings of one user or item, and of many to a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving_export.__main__ import main
from tests.serving_export.world import DAY1, World


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
