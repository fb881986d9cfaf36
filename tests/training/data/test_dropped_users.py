"""The rows of the view are summed by rule and written by day."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.training.data.landed_logs import settings_at
from training.contracts.partitions import Partition
from training.data.dropped_users import FILE, report_dropped
from training.settings import Settings

DAYS = [Partition.parse(f"2026-01-0{day}") for day in range(1, 5)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = settings_at(tmp_path)
    fill(settings, [(0, f"u{n:02}", 300 + n, 1) for n in range(25)] + [(2, "u00", 400, 3)])
    return settings


def fill(settings: Settings, rows: list[tuple[int, str, int, int]]) -> None:
    settings.warehouse_path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(
            "create or replace table int_user_days_dropped "
            "(arrived_at timestamp, user_id varchar, count_events bigint, count_items bigint, drop_rule varchar)"
        )
        for day, *row in rows:
            values = [DAYS[day].day, *row]
            connection.execute("insert into int_user_days_dropped values (?, ?, ?, ?, 'bot: many')", values)


def test_users_and_events_are_counted_by_rule_and_twenty_named(settings: Settings) -> None:
    (rule,) = report_dropped(settings, DAYS[0], DAYS[2])
    assert (rule["rule"], rule["users"], rule["events"]) == ("bot: many", 25, sum(range(300, 325)) + 400)
    assert rule["user_ids"] == [f"u{n:02}" for n in range(20)]


def test_the_days_in_between_alone_count(settings: Settings) -> None:
    (rule,) = report_dropped(settings, DAYS[1], DAYS[2])
    assert (rule["users"], rule["events"]) == (1, 400)
    assert report_dropped(settings, DAYS[3], DAYS[3]) == []


def test_every_one_is_in_the_file_of_the_day_and_a_day_without_keeps_none(settings: Settings) -> None:
    report_dropped(settings, DAYS[0], DAYS[2])
    assert pq.ParquetFile(settings.quarantine_dir(DAYS[0]) / FILE).read().num_rows == 25
    assert not (settings.quarantine_dir(DAYS[1]) / FILE).exists()
    fill(settings, [])
    report_dropped(settings, DAYS[0], DAYS[2])
    assert not (settings.quarantine_dir(DAYS[0]) / FILE).exists()
