"""Vectors of past moments go to a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving_export.__main__ import main
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.frames import frame_of


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


def test_past_vectors_of_a_frame(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.parquet as pq

    first, second = world.promote(DAY1, DAY2)
    rows, out = tmp_path / "rows.csv", tmp_path / "out.parquet"
    rows.write_text("user_id,as_of\nu05,2026-11-02\nu05,2026-11-03\n")
    assert main(["history", "--rows", str(rows), "--out", str(out), "--frame", frame_of(first)]) == 0
    assert capsys.readouterr().out == f"2 rows of frame {frame_of(first)} in {out}\n"
    assert pq.read_table(out)["space_id"].to_pylist() == [first, second]
    assert main(["history", "--rows", str(rows), "--out", str(out), "--frame", frame_of(second)]) == 1
    assert f"expected frame {frame_of(second)}, found none of it" in capsys.readouterr().err
