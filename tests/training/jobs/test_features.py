"""The feature jobs on a real warehouse and a real online store."""

import json
from pathlib import Path

import pytest

from tests.training.data.landed_logs import land_small_log, settings_at
from training.contracts.partitions import Partition
from training.data.feature_store import feature_store
from training.jobs.features import materialise_features, transform_partition

pytestmark = pytest.mark.integration
DAY1, DAY3 = Partition.parse("2026-01-01"), Partition.parse("2026-01-03")


def test_a_partition_is_transformed_then_served_and_an_older_one_is_not(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    land_small_log(settings)
    report = transform_partition(settings, DAY3)
    assert (report["partition"], report["first_day"], report["num_days"]) == ("2026-01-03", "2026-01-01", 3)
    assert report["rows"] == {
        "user_profile": 39,
        "user_activity": 39,
        "user_history": 39,
        "item_popularity": 3,
        "item_profile": 3,
    }
    assert report["interaction_days"] == 3
    assert json.loads(json.dumps(report)) == report

    assert materialise_features(settings, DAY3, ["user_profile"]) == {
        "partition": "2026-01-03",
        "rows": {"user_profile": 39},
    }
    again = transform_partition(settings, DAY1, since="2026-01-01")
    assert (again["num_days"], again["interaction_days"]) == (1, 1)
    assert materialise_features(settings, DAY1, ["user_profile"])["rows"] == {}
    answer = feature_store(settings).get_online_features(["user_profile:country"], [{"user_id": "u05"}]).to_dict()
    assert answer["country"] == ["FI"]
