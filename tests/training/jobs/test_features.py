"""The feature jobs on a real warehouse and a real online store."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.training.data.landed_logs import land_small_log, settings_at
from tests.training.ingest.raw_logs import DAYS, deliver, events
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.feature_store import feature_store
from training.ingest.arrivals import withdraw
from training.jobs import run
from training.jobs.features import materialise_features, transform_partition
from training.settings import Settings
from training.storage import PART

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


def ids(settings: Settings, table: str, day: Partition, column: str) -> set[str]:
    path = settings.features_dir(table, day) / PART
    return set(pq.ParquetFile(path).read()[column].to_pylist())


def test_what_a_day_delivered_again_no_longer_says_is_gone_everywhere(tmp_path: Path) -> None:
    """A user and an item of the first day go when it is delivered again, a whole day when it is withdrawn."""
    settings = settings_at(tmp_path)
    for day in DAYS[:3]:
        deliver(settings, day, events(day, 20, prefix=f"{day}-", user_id=f"u-{day}", item_id=f"i-{day}"))
    extra = events(DAYS[0], 5, prefix="x-", user_id="ghost", item_id="ghostly")
    path = deliver(settings, DAYS[0], extra, file="part-1.parquet")
    run("land_partition", str(DAYS[2]), settings=settings)
    transform_partition(settings, DAYS[2])
    assert "ghost" in ids(settings, "user_profile", DAYS[2], "user_id")

    path.unlink()
    gone = settings.raw_dir("interactions") / f"dt={DAYS[1]}"
    (gone / "part-0.parquet").unlink()
    gone.rmdir()
    withdraw(settings, DAYS[1])
    run("land_partition", str(DAYS[2]), settings=settings)
    transform_partition(settings, DAYS[2])
    kept = [DAYS[0], DAYS[2]]
    for table in ("user_profile", "user_activity", "user_history"):
        assert ids(settings, table, DAYS[2], "user_id") == {f"u-{day}" for day in kept}
    for table in ("item_profile", "item_popularity"):
        assert ids(settings, table, DAYS[2], "item_id") == {f"i-{day}" for day in kept}
    facts = [len(ids(settings, "interactions", day, "event_id")) for day in DAYS[:3]]
    assert facts == [20, 0, 20]


def test_a_day_in_raw_that_has_not_landed_is_not_transformed(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    deliver(settings, DAYS[0], events(DAYS[0], 3))
    with pytest.raises(MissingArtefact, match=f"run land_partition for {DAYS[0]}"):
        run("transform_partition", str(DAYS[0]), settings=settings)


def test_no_job_takes_a_partition_after_the_newest_arrived(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    deliver(settings, DAYS[0], events(DAYS[0], 3))
    for job in ("transform_partition", "pool_taste", "materialise_features", "retrain_decision", "land_partition"):
        with pytest.raises(MissingArtefact, match=f"expected a partition up to {DAYS[0]}, .*found {DAYS[1]}"):
            run(job, str(DAYS[1]), settings=settings)
    assert run("partition_arrived", str(DAYS[1]), settings=settings)["arrived"] is False


def test_whom_the_bot_filter_drops_is_reported_with_the_rule(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    land_small_log(settings)
    (rule,) = transform_partition(settings, DAY3)["dropped"]
    assert (rule["users"], rule["events"], rule["user_ids"]) == (1, 300, ["bot"])
    assert rule["rule"].startswith("bot: a day of at least 300 events on distinct items of at most 0.1 times")
    file = settings.quarantine_dir(DAY3) / "dropped_users.parquet"
    (row,) = pq.ParquetFile(file).read().to_pylist()
    assert (row["user_id"], row["count_events"], row["count_items"]) == ("bot", 300, 1)
    assert [path.parent for path in settings.home.glob("quarantine/*/dropped_users.parquet")] == [file.parent]
