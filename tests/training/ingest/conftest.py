from __future__ import annotations

from pathlib import Path

import pytest

from training.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder
