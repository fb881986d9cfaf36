"""Lookup timings read the vectors that they claim to read."""

import numpy as np
import pytest

from serving_export.bench.lookups import BATCHES, WIDTH, feast_reader, lookup_timings, publish_vectors
from training.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


@pytest.mark.integration
def test_one_line_per_batch(settings):
    lines = lookup_timings(settings, num_users=600, feast_users=500, repeats=2)
    assert [line.what.split()[2] for line in lines] == [str(size) for size in BATCHES]
    for line in lines:
        assert min(line.ours, *line.incumbents.values(), *line.limits.values()) > 0


@pytest.mark.integration
def test_store_and_feast_return_the_same_vectors(settings, tmp_path):
    ids = ["a", "b", "c"]
    vectors = np.arange(3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)
    assert np.array_equal(publish_vectors(settings, ids, vectors).lookup(["c", "a"]).vectors, vectors[[2, 0]])
    found = feast_reader(tmp_path / "sdk", ids, vectors)(["c", "a"])
    assert np.array_equal(np.array(found["vector"], np.float32), vectors[[2, 0]])
