"""Events are delivered as any day's log is: landed whole, none quarantined."""

from __future__ import annotations

from pathlib import Path

from serving_export.bench.soak.home import deliver
from training.contracts.partitions import Partition
from training.jobs import run
from training.settings import Settings


def test_delivered_events_land(tmp_path: Path) -> None:
    settings, day = Settings.from_env({"ATTUNE_HOME": str(tmp_path)}), Partition.parse("2026-11-05")
    rows = [
        {
            "event_id": f"e{number}",
            "user_id": "u1",
            "item_id": "i1",
            "event_type": "click",
            "occurred_at": f"2026-11-05T10:00:0{number}.123456+00:00",
        }
        for number in range(3)
    ]
    deliver(settings, day, rows)
    found = run("land_partition", str(day), settings=settings)
    assert (found["landed"], found["rows"]["interactions"], found["quarantined"]) == ([str(day)], 3, {})
