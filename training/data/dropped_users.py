"""Say whose events the build left out of the facts, and by which rule."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import write_parquet

logger = logging.getLogger(__name__)
FILE = "dropped_users.parquet"
_NAMED = 20
"""Of many users a report names so many; the files name all."""
_QUERY = """
select cast(arrived_at as date) as day, drop_rule, user_id, count_events, count_items
from int_user_days_dropped
where arrived_at between ? and ?
order by all
"""


def report_dropped(settings: Settings, first: Partition, last: Partition) -> list[dict[str, Any]]:
    """Return whom each rule dropped over the arrival days [first, last], both inclusive.

    All of them are written to `quarantine/dt=D/dropped_users.parquet`, one row per user of the day; a day that was
    built again and drops nobody keeps no file.

    Returns:
        By rule: `rule` in words, `users` and `events` dropped, up to 20 `user_ids` sorted, and the `files`' place.
    """
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        rows = connection.sql(_QUERY, params=[first.day, last.day]).to_arrow_table()
    _write(settings, first, last, rows)
    by_rule: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        by_rule.setdefault(row["drop_rule"], []).append(row)
    report = [_summary(settings, rule, found) for rule, found in sorted(by_rule.items())]
    for rule in report:
        logger.warning("dropped %d events of %d users by rule %s", rule["events"], rule["users"], rule["rule"])
    return report


def _summary(settings: Settings, rule: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    users = sorted({row["user_id"] for row in rows})
    return {
        "rule": rule,
        "users": len(users),
        "events": sum(row["count_events"] for row in rows),
        "user_ids": users[:_NAMED],
        "files": str(settings.home / "quarantine" / "dt=*" / FILE),
    }


def _write(settings: Settings, first: Partition, last: Partition, rows: pa.Table) -> None:
    numbers: dict[date, list[int]] = {}
    for number, day in enumerate(rows["day"].to_pylist()):
        numbers.setdefault(day, []).append(number)
    for shift in range((last.day - first.day).days + 1):
        day = first.shift(shift)
        path = settings.quarantine_dir(day) / FILE
        if day.day in numbers:
            write_parquet(rows.take(numbers[day.day]).drop_columns(["day"]), path)
        else:
            path.unlink(missing_ok=True)
