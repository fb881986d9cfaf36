"""A home that was copied finds its own artefacts, and the original keeps its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training.settings import Settings
from training.tracking.mlflow import RunRecord, log_run, tracking_client

pytestmark = pytest.mark.integration


def artefact(settings: Settings, run_id: str) -> str:
    with tracking_client(settings) as client:
        return Path(client.download_artifacts(run_id, "files/note.txt")).read_text()


def test_a_copied_home_finds_its_own_artefacts(tmp_path: Path, fresh_mlflow: Callable[[Settings], Settings]) -> None:
    original = fresh_mlflow(Settings.from_env({"ATTUNE_HOME": str(tmp_path / "original")}))
    files = tmp_path / "files"
    files.mkdir()
    (files / "note.txt").write_text("first")
    run = log_run(
        original, RunRecord(model_name="matching", run_name="v1", params={}, files=files, register_files=True)
    )
    shutil.copytree(original.home, tmp_path / "copy")
    copied = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "copy")})
    [kept] = (original.home / "mlflow" / "artifacts").rglob("note.txt")
    kept.write_text("changed since")
    assert artefact(copied, run.run_id) == "first"
    assert artefact(original, run.run_id) == "changed since"
    with tracking_client(copied) as client:
        version = client.get_model_version("matching", run.version)
        assert version.source.startswith((copied.home / "mlflow").as_uri())
