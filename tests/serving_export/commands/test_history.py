"""Vectors of past moments go to a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving_export.__main__ import main
from tests.serving_export.world import DAY1, World


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
