"""Read the clean facts that had arrived by the end of a partition, as one frame in time order."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.columns import INTERACTIONS
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import PART, arrow_schema, list_partitions

ORDER = ("occurred_at", "user_id", "event_id")


def read_interactions(
    settings: Settings, until: Partition, columns: Sequence[str] = INTERACTIONS.column_names
) -> pd.DataFrame:
    """Return every interaction that arrived up to `until`, inclusive, and occurred before its `as_of`.

    Args:
        settings: Names the home.
        until: Last arrival day that may be known.
        columns: Which columns of the INTERACTIONS contract to return.

    Returns:
        One row per event, sorted by occurred_at, user_id, event_id, index 0 to n-1; times are UTC.

    Raises:
        MissingArtefact: Nothing up to `until` has been exported.
    """
    folder = settings.home / "features" / INTERACTIONS.name
    days = [day for day in list_partitions(folder) if day <= until] if folder.is_dir() else []
    if not days:
        raise MissingArtefact(
            f"expected interactions up to {until}, found none at {folder}; run transform_partition for {until}"
        )
    needed = list(dict.fromkeys([*columns, *ORDER]))
    schema = pa.schema([field for field in arrow_schema(INTERACTIONS) if field.name in needed])
    paths = [settings.features_dir(INTERACTIONS.name, day) / PART for day in days]
    table = pa.concat_tables([pq.read_table(path, columns=schema.names, partitioning=None) for path in paths])
    frame: pd.DataFrame = table.to_pandas()
    frame = frame[frame["occurred_at"] < pd.Timestamp(until.as_of)]
    return frame.sort_values(list(ORDER), kind="stable", ignore_index=True)[list(columns)]
