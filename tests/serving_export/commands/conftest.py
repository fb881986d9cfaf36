"""Run each command in the home of its test."""

from __future__ import annotations

import pytest

from tests.serving_export.world import World


@pytest.fixture(autouse=True)
def _in_this_home(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_HOME", str(world.settings.home))
