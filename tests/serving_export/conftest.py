"""Give each test of serving a home of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving_export.world import World
from training.settings import Settings


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home"), "ATTUNE_STALE_AFTER_DAYS": "2"}))
