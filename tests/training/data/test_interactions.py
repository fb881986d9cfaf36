from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.training.data.landed_logs import at, settings_at
from training.contracts.columns import INTERACTIONS
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.interactions import codes, epoch_seconds, places_in, read_interactions, read_log, values_of
from training.settings import Settings
from training.storage import PART, arrow_schema, write_parquet

DAY1, DAY2 = Partition.parse("2026-01-01"), Partition.parse("2026-01-02")


def export(config: Settings, day: Partition, *events: tuple[str, str]) -> None:
    rows = [
        {
            "event_id": event_id,
            "user_id": "u",
            "item_id": "i",
            "event_type": "view",
            "weight": 0.5,
            "occurred_at": at(occurred_at),
            "arrived_at": day.starts_at,
            "session_key": "s",
        }
        for event_id, occurred_at in events
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(INTERACTIONS))
    write_parquet(table, config.features_dir("interactions", day) / PART)


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    found = settings_at(tmp_path)
    export(found, DAY1, ("b", "2026-01-01T10:00:00"), ("a", "2026-01-01T10:00:00"), ("x", "2026-01-02T00:00:00"))
    export(found, DAY2, ("late", "2026-01-01T09:00:00"))
    return found


def test_reads_in_time_order_across_arrival_days(config: Settings) -> None:
    frame = read_interactions(config, DAY2)
    assert frame["event_id"].tolist() == ["late", "a", "b", "x"]
    assert tuple(frame.columns) == INTERACTIONS.column_names
    assert frame.index.tolist() == [0, 1, 2, 3]


def test_leaves_out_what_arrived_later_or_happened_at_as_of(config: Settings) -> None:
    assert read_interactions(config, DAY1)["event_id"].tolist() == ["a", "b"]


def test_gives_only_the_columns_asked_for_in_their_order(config: Settings) -> None:
    frame = read_interactions(config, DAY2, columns=("item_id", "weight"))
    assert list(frame.columns) == ["item_id", "weight"]
    assert len(frame) == 4


def export_anything(config: Settings, day: Partition, generator: np.random.Generator, num: int) -> list[dict[str, Any]]:
    """Write events of few users in few seconds, in no order: many share user and time within and across days."""
    rows = [
        {
            "event_id": f"e{generator.integers(10**9)}",
            "user_id": f"u{generator.integers(4)}é",
            "item_id": f"i{generator.integers(30)}",
            "event_type": "view",
            "event_value": None,
            "weight": float(generator.integers(1, 4)),
            "occurred_at": DAY1.starts_at + timedelta(seconds=int(generator.integers(6)), hours=14),
            "arrived_at": day.starts_at,
            "session_key": f"s{generator.integers(9)}",
        }
        for _ in range(num)
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(INTERACTIONS))
    write_parquet(table, config.features_dir("interactions", day) / PART)
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_columns_hold_what_plain_sorting_gives(tmp_path: Path, seed: int) -> None:
    config, generator = settings_at(tmp_path), np.random.default_rng(seed)
    rows = [row for shift in range(3) for row in export_anything(config, DAY1.shift(shift), generator, 40)]
    expected = sorted(rows, key=lambda row: (row["occurred_at"], row["user_id"], row["event_id"]))
    log = read_log(config, DAY1.shift(2))
    assert log.to_pylist() == expected
    assert read_log(config, DAY1.shift(2), ("weight", "item_id")).to_pylist() == [
        {"weight": row["weight"], "item_id": row["item_id"]} for row in expected
    ]
    assert read_interactions(config, DAY1.shift(2))["user_id"].tolist() == [row["user_id"] for row in expected]


def test_codes_are_places_among_the_values_that_occur_by_as_of(config: Settings) -> None:
    export(config, DAY2.shift(1), ("later", "2026-01-03T00:00:00"))
    log = read_log(config, DAY1)
    assert values_of(log["user_id"]).to_pylist() == ["u"]
    assert codes(log["user_id"]).tolist() == [0, 0]
    assert places_in(["t", "u"], log["user_id"]).tolist() == [1, 1]
    assert places_in(["t"], log["user_id"]).tolist() == [-1, -1]
    assert epoch_seconds(log["occurred_at"]).tolist() == [int(at("2026-01-01T10:00:00").timestamp())] * 2


def test_values_of_rows_left_out_are_left_out(tmp_path: Path) -> None:
    config, generator = settings_at(tmp_path), np.random.default_rng(0)
    early = export_anything(config, DAY1, generator, 5)
    export(config, DAY2, ("at as_of", "2026-01-03T00:00:00"))
    log = read_log(config, DAY2)
    assert values_of(log["item_id"]).to_pylist() == sorted({row["item_id"] for row in early})
    assert codes(log["item_id"]).max() == len(values_of(log["item_id"])) - 1


def test_says_which_job_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match="run transform_partition for 2026-01-01"):
        read_interactions(settings_at(tmp_path), DAY1)
