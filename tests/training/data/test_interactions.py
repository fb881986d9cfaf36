from pathlib import Path

import pyarrow as pa
import pytest

from tests.training.data.landed_logs import at, settings_at
from training.contracts.columns import INTERACTIONS
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.interactions import read_interactions
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


def test_says_which_job_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match="run transform_partition for 2026-01-01"):
        read_interactions(settings_at(tmp_path), DAY1)
