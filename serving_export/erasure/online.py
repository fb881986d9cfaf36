"""Take users off the online store, whichever of its tables and spaces hold rows of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pyarrow as pa

from serving_export.erasure.people import OWNER
from serving_export.erasure.snapshots import Renamed
from serving_export.reconcile import VIEW
from training.contracts.columns import Table
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.online.blocks import ONLINE_TABLES
from training.data.online.guard import WHOLE_VIEW, served_slots, served_whole, serving, writing
from training.settings import Settings


def erase_online(settings: Settings, user_ids: frozenset[str]) -> None:
    """Serve nothing of the users online any more: at once, and again once no other writer is under way.

    A write that began before the tombstones may bring rows back after the first time, none after the second.
    """
    _delete(settings, user_ids)
    with writing(settings):
        _delete(settings, user_ids)


def serve_renamed(settings: Settings, renamed: Renamed) -> None:
    """Say of each space and frame whose rows come from a snapshot that was written anew that the new one gave them.

    They are the same but for the users who were erased, and those are online no more.
    """
    for path, entry in renamed.items():
        day = Partition.parse(entry.partition)
        for slot in filter(None, (entry.space_id, entry.frame)):
            if served_whole(settings, VIEW, slot, day, path):
                with serving(settings, VIEW, slot, day, entry.path):
                    pass


def find_online(settings: Settings, user_ids: frozenset[str]) -> list[str]:
    """Return the views that serve something of one of the users, each with how many rows."""
    from training.data.feature_store import writer_of

    writer = writer_of(settings)
    counts = {view: writer.num_served(view, blocks) for view, blocks in _keys(settings, user_ids)}
    return [f"view {view}: {count} rows" for view, count in counts.items() if count]


def _delete(settings: Settings, user_ids: frozenset[str]) -> None:
    from training.data.feature_store import writer_of

    writer = writer_of(settings)
    for view, blocks in _keys(settings, user_ids):
        with suppress(MissingArtefact):  # a view that was never served has nobody to forget
            writer.delete_keys(view, blocks)


def _keys(settings: Settings, user_ids: frozenset[str]) -> Iterator[tuple[str, list[pa.RecordBatch]]]:
    """Yield each view of users with their keys, a block for each of its (item) spaces."""
    for view, table in ONLINE_TABLES.items():
        if OWNER in table.key:
            slots = served_slots(settings, view) if len(table.key) > 1 else [WHOLE_VIEW]
            yield view, list(_blocks(table, slots, sorted(user_ids)))


def _blocks(table: Table, slots: list[str], user_ids: list[str]) -> Iterator[pa.RecordBatch]:
    users = pa.array(user_ids, pa.string())
    for slot in slots:
        columns = [users if name == OWNER else pa.repeat(pa.scalar(slot), len(users)) for name in table.key]
        yield pa.RecordBatch.from_arrays(columns, names=list(table.key))
