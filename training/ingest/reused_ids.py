"""Find events that repeat the id of an earlier day with other content, in any order of landing.

What arrived first counts, so that a day is judged by the days before it alone. Each day leaves two hashes an event
(of its id, and of all it says) under `landed/event_hashes/`: a function of its own raw files. A judgement reads the
hashes of every day, but groups only ids that may have changed sides: those of the days that land, and those found
reused before, which `landed/reused_ids/` keeps. It thus comes out the same whichever day landed first or again.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.contracts.partitions import Partition
from training.ingest.event_hashes import hashed_contents, hashed_ids
from training.ingest.raw_files import CheckedRows
from training.settings import Settings
from training.storage import PART, list_partitions, open_parquet, write_parquet

HASHES, REUSED = "event_hashes", "reused_ids"
_HASHES_SCHEMA = pa.schema(
    [
        pa.field("event", pa.uint64(), nullable=False),
        pa.field("content", pa.uint32(), nullable=False),
        pa.field("file", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("number", pa.int32(), nullable=False),
    ]
)
_REUSED_SCHEMA = pa.schema([pa.field("event", pa.uint64(), nullable=False)])
_DISPUTED = """
create temp table disputed as
with known as (
    select event, content from read_parquet($hashes)
),
in_question as (
    select event from read_parquet($questioned)
)
select event
from known semi join in_question using (event)
group by event
having min(content) <> max(content)
"""
_REUSED = """
with seen as (
    select event, content, file, number, cast(dt as date) as day
    from read_parquet($hashes, hive_partitioning = true) semi join disputed using (event)
),
firsts as (
    select event, arg_min(struct_pack(content, file, number), day) as kept
    from seen
    group by event
)
select seen.day, seen.event, 'row ' || kept.number || ' of ' || kept.file as place
from seen inner join firsts using (event)
where seen.content <> kept.content
order by all
"""
"""Most logs have none in dispute, so that places, which are most of what is kept, are read for those alone."""


def remember(settings: Settings, partition: Partition, checked: CheckedRows) -> None:
    """Write the hashes of a day's interactions that keep the contract, one row an id; none leaves no file."""
    path = _path(settings, HASHES, partition)
    if not checked.rows.num_rows:
        path.unlink(missing_ok=True)
        return
    events = hashed_ids(checked.rows)
    first = np.sort(np.unique(events, return_index=True)[1])
    file, number = checked.places[first].T
    names = pa.DictionaryArray.from_arrays(pa.array(file, pa.int32()), pa.array(checked.files, pa.string()))
    columns = [
        pa.array(events[first]),
        pa.array(hashed_contents(checked.rows)[first]),
        names,
        pa.array(number, pa.int32()),
    ]
    write_parquet(pa.Table.from_arrays(columns, schema=_HASHES_SCHEMA), path, repetitive=["file"])


def find_reused(settings: Settings, changed: list[Partition]) -> dict[Partition, dict[int, str]]:
    """Return, by day, the hashes of ids that an earlier day gave other content, with the place of the earlier row.

    Args:
        settings: Names the home.
        changed: Days whose hashes are new. Of other days, ids that these days or an earlier judgement name are judged.
    """
    hashes = _paths(settings, HASHES, list_partitions(settings.landed_dir(HASHES)))
    reused = _paths(settings, REUSED, list_partitions(settings.landed_dir(REUSED)))
    fresh = [path for path in _paths(settings, HASHES, changed) if Path(path).exists()]
    if not hashes or not (fresh or reused):
        return {}
    with duckdb.connect() as connection:
        connection.execute(_DISPUTED, {"hashes": hashes, "questioned": [*fresh, *reused]})
        rows = connection.execute(_REUSED, {"hashes": hashes}).fetchall() if _any_disputed(connection) else []
    found: dict[Partition, dict[int, str]] = {}
    for day, event, place in rows:
        found.setdefault(Partition(day), {})[event] = place
    return found


def _any_disputed(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("select count(*) > 0 from disputed").fetchall()[0][0])


def known_reused(settings: Settings) -> dict[Partition, set[int]]:
    """Return, by day, the hashes of ids that were judged reused when the day landed."""
    days = list_partitions(settings.landed_dir(REUSED))
    files = zip(days, _paths(settings, REUSED, days), strict=True)
    return {day: set(open_parquet(Path(path)).read()["event"].to_pylist()) for day, path in files}


def record_reused(settings: Settings, partition: Partition, events: set[int]) -> None:
    """Keep which ids of a landed day were judged reused; none leaves no file."""
    path = _path(settings, REUSED, partition)
    if events:
        write_parquet(pa.table({"event": pa.array(sorted(events), pa.uint64())}, schema=_REUSED_SCHEMA), path)
    else:
        path.unlink(missing_ok=True)


def forget(settings: Settings, partition: Partition) -> None:
    """Remove what is kept of a day that is no longer in raw."""
    for folder in (HASHES, REUSED):
        _path(settings, folder, partition).unlink(missing_ok=True)


def forget_events(settings: Settings, partition: Partition, events: pa.Table) -> None:
    """Remove the hashes of landed events of a day, those of users who are erased."""
    gone = pa.array(hashed_ids(events)) if events.num_rows else pa.array([], pa.uint64())
    for folder in (HASHES, REUSED):
        path = _path(settings, folder, partition)
        kept = open_parquet(path).read() if path.exists() else None
        if kept is not None and len(gone):
            kept = kept.filter(pc.invert(pc.is_in(kept["event"], value_set=gone)))
            if kept.num_rows:
                write_parquet(kept, path, repetitive=["file"] if folder == HASHES else True)
            else:
                path.unlink()


def _path(settings: Settings, folder: str, partition: Partition) -> Path:
    return settings.landed_dir(folder) / f"dt={partition}" / PART


def _paths(settings: Settings, folder: str, days: list[Partition]) -> list[str]:
    return [str(_path(settings, folder, day)) for day in days]
