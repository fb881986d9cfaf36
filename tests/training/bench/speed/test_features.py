"""A small simulated week, built and pooled for the clock; what takes longer is not asserted."""

import pytest

from training.bench.speed.features import feature_timings
from training.ingest.simulator import SimulatorConfig
from training.ingest.world import WorldConfig


@pytest.mark.integration
def test_lines_of_a_days_build_and_pooling(tmp_path):
    config = SimulatorConfig(world=WorldConfig(num_users=120, num_items=60, num_days=4))
    build, pooling = feature_timings(tmp_path, 17, config)
    assert set(build.limits) == {"the same SQL in bare DuckDB"}
    assert set(pooling.incumbents) == {"from all events"}
    assert min(build.ours, *build.limits.values()) > 0
    assert min(pooling.ours, *pooling.incumbents.values()) > 0
