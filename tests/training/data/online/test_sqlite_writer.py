"""What the SQLite store is like during a write, after one that failed, and after a deletion."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa
import pytest

from tests.training.data.online.conftest import Store
from tests.training.data.online.hard_snapshots import KEYS, blocks_of, hard_snapshot
from training.contracts.columns import USER_PROFILE
from training.contracts.errors import AttuneError, MissingArtefact
from training.data import feature_store
from training.data.online import sqlite_writer
from training.data.online.sqlite_writer import SqliteWriter

pytestmark = pytest.mark.integration


@pytest.fixture(params=["sqlite"])
def stores(stores: tuple[Store, Store]) -> tuple[Store, Store]:
    """Take the SQLite stores alone."""
    return stores


def first_block_alone(snapshot: pa.Table) -> Iterator[pa.RecordBatch]:
    yield blocks_of(snapshot)[0]
    raise OSError("the snapshot cannot be read any further")


def test_a_write_cut_short_leaves_what_was_served_whole(bulk: Store) -> None:
    bulk.writer().write("user_profile", hard_snapshot(USER_PROFILE).to_batches())
    before = bulk.content()
    with pytest.raises(OSError, match="cannot be read any further"):
        bulk.writer().write("user_profile", first_block_alone(hard_snapshot(USER_PROFILE, 1)))
    assert bulk.content() == before
    bulk.writer().write("user_profile", hard_snapshot(USER_PROFILE, 1).to_batches())
    assert bulk.content() != before


def test_readers_see_the_old_snapshot_until_the_new_one_is_whole(bulk: Store) -> None:
    feast = feature_store.feature_store(bulk.settings)

    def tenures() -> list[int]:
        rows = [{"user_id": key} for key in KEYS]
        return list(feast.get_online_features(["user_profile:tenure_days"], rows).to_dict()["tenure_days"])

    def watched(snapshot: pa.Table) -> Iterator[pa.RecordBatch]:
        for block in blocks_of(snapshot):
            yield block
            seen.append(tenures())

    old, new = hard_snapshot(USER_PROFILE), hard_snapshot(USER_PROFILE, 1)
    seen: list[list[int]] = []
    bulk.writer().write("user_profile", old.to_batches())
    bulk.writer().write("user_profile", watched(new))
    assert seen == [old["tenure_days"].to_pylist()] * 3
    assert tenures() == new["tenure_days"].to_pylist()


def test_deleted_rows_leave_no_bytes_in_the_files(bulk: Store) -> None:
    def files() -> bytes:
        return b"".join(path.read_bytes() for path in bulk.path.parent.glob("online.db*"))

    reader = feature_store.feature_store(bulk.settings)
    bulk.writer().write("user_profile", hard_snapshot(USER_PROFILE).to_batches())
    assert reader.get_online_features(["user_profile:country"], [{"user_id": "käyttäjä"}]).to_dict()["country"]
    assert "käyttäjä".encode() in files()
    bulk.writer().delete_keys("user_profile", [pa.RecordBatch.from_pydict({"user_id": ["käyttäjä"]})])
    assert "käyttäjä".encode() not in files()
    assert b"k" * 300 in files()


def test_a_store_that_another_writer_holds_is_named(bulk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "_WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(bulk.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AttuneError, match=r"expected to write .*online.db within 0.1 s, found database is locked"):
            bulk.writer().write("user_profile", hard_snapshot(USER_PROFILE).to_batches())


@pytest.mark.parametrize("project", ["attune", "another"])
def test_a_view_that_is_not_declared_is_refused(project: str, bulk: Store) -> None:
    path = bulk.path.with_name("none.db") if project == "attune" else bulk.path
    with pytest.raises(MissingArtefact, match=r"expected feature view user_profile in the online store .*, found none"):
        SqliteWriter(str(path), project).write("user_profile", hard_snapshot(USER_PROFILE).to_batches())
    assert not bulk.path.with_name("none.db").exists()
