"""A small snapshot, written by both writers into both stores for the clock; what takes longer is not asserted."""

import pytest

from training.bench.speed.materialise import WIDTH, materialise_timings, taste_snapshot
from training.contracts.columns import USER_TASTE
from training.storage import arrow_schema


@pytest.mark.integration
def test_one_line_per_store(tmp_path):
    lines = materialise_timings(tmp_path, seed=17, num_users=50, repeats=1)
    assert [line.what for line in lines] == [
        f"materialise 50 users × 124 numbers into {store}" for store in ("SQLite", "Valkey")
    ]
    for line in lines:
        assert min(line.ours, line.incumbents["Feast's writer"]) > 0


def test_the_snapshot_is_a_seeded_user_taste():
    snapshot = taste_snapshot(5, seed=17)
    assert snapshot.schema == arrow_schema(USER_TASTE)
    assert len(snapshot["taste_content_7d"][4]) == WIDTH
    assert snapshot.equals(taste_snapshot(5, seed=17))
    assert not snapshot.equals(taste_snapshot(5, seed=18))
