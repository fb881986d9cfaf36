"""Lookups over HTTP are timed on the vectors that were published, by every way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serving_export.bench.http_lookups import BATCHES, empty_by, http_timings, lookups_by, under_load
from serving_export.bench.lookups import WIDTH, publish_vectors
from serving_export.bench.servers import lookup_server
from training.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


def test_a_lookup_ends_with_the_published_vectors(settings: Settings) -> None:
    vectors = np.arange(3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)
    publish_vectors(settings, ["a", "b", "c"], vectors)
    with lookup_server(settings.home) as server:
        np.testing.assert_array_equal(lookups_by(server, "binary")(["c", "a"]), vectors[[2, 0]])
        users = lookups_by(server, "json")(["c", "a"])["users"]
        np.testing.assert_array_equal([user["vector"] for user in users], vectors[[2, 0]])
        assert empty_by(server)([]) == b'{"alive":true}'
        keys, latencies = under_load(server, lambda: lookups_by(server, "binary"), ["a", "b"], seconds=0.5)
        assert keys > 0
        assert len(latencies) > 2


@pytest.mark.slow
def test_every_line_has_every_way(settings: Settings) -> None:
    lines = http_timings(settings, num_users=600, feast_users=500, turns=1)
    assert len(lines) == 4 * len(BATCHES) + 2
    for line in lines[:-2]:
        assert set(line.incumbents) == {"feast serve", "Feast SDK", "Redis MGET"}
        assert min(line.ours, *line.incumbents.values(), *line.limits.values()) > 0
    asked = [list(line.targets()) for line in lines]
    median = [["≤ 1.5", "≥ 35 × feast serve"], [], [], []], [["≤ 3", "≥ 35 × feast serve"], [], ["≤ 10"], []]
    assert asked == [*median[0], *median[1], ["≥ 110.0 k"], ["≤ 3"]]
    assert lines[-2].unit == "keys/s"
    assert lines[-2].ours > lines[-2].incumbents["feast serve"] > 0
