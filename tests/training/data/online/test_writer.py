"""Both writers on both stores: what they leave in a store is the same to the byte, and Feast reads every row back."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from tests.training.data.online.conftest import Store
from tests.training.data.online.hard_snapshots import KEYS, OTHER_AS_OF, blocks_of, hard_snapshot, values_of
from training.contracts.columns import EVENT_TIMESTAMP, USER_EMBEDDING, USER_PROFILE, USER_TASTE, Table
from training.contracts.errors import AttuneError
from training.data import feature_store
from training.data.online import writer
from training.data.online.blocks import ONLINE_TABLES
from training.data.online.redis_writer import RedisWriter
from training.data.online.sqlite_writer import SqliteWriter
from training.data.online.writer import FeastWriter, online_writer

pytestmark = pytest.mark.integration
VIEWS = list(ONLINE_TABLES.values())


def read_by_feast(store: Store, table: Table, keys: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return what Feast's online read gives for each key, with the timestamps."""
    feast = feature_store.feature_store(store.settings)
    wanted = [f"{table.name}:{one.name}" for _, one in values_of(table)]
    found = feast.get_online_features(wanted, keys).to_dict(include_event_timestamps=True)
    return [{name: values[n] for name, values in found.items()} for n in range(len(keys))]


def keys_of(table: Table, snapshot: pa.Table) -> list[dict[str, str]]:
    return list(snapshot.select(list(table.key)).to_pylist())


def same(found: Any, expected: Any) -> bool:
    """Whether Feast's answer is the snapshot's value; it keeps times to the second and gives no NaN alone."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and math.isnan(expected):
        return found is None or math.isnan(found)
    if hasattr(expected, "timestamp"):
        return int(found.timestamp()) == int(expected.timestamp())
    return bool(found == expected)


def assert_served(row: Mapping[str, Any], expected: Mapping[str, Any], table: Table) -> None:
    for _, one in values_of(table):
        assert same(row[one.name], expected[one.name]), one.name
        assert row[f"{one.name}__ts"] == int(expected[EVENT_TIMESTAMP].timestamp())


class TestSameAsFeast:
    @pytest.mark.parametrize("table", VIEWS, ids=lambda table: table.name)
    def test_to_the_byte_when_written_and_written_over(self, table: Table, stores: tuple[Store, Store]) -> None:
        for shift in (0, 3):
            snapshot = hard_snapshot(table, shift)
            for store, choice in zip(stores, ("feast", "bulk"), strict=True):
                blocks = [snapshot.to_batches()[0]] if choice == "feast" else blocks_of(snapshot)
                assert store.writer(choice).write(table.name, blocks) == len(KEYS)
            expected, found = (store.content() for store in stores)
            assert len(expected) >= len(KEYS)
            assert found == expected

    @pytest.mark.parametrize("table", VIEWS, ids=lambda table: table.name)
    def test_and_feast_reads_every_row_back(self, table: Table, bulk: Store) -> None:
        snapshot = hard_snapshot(table)
        bulk.writer().write(table.name, blocks_of(snapshot))
        rows = read_by_feast(bulk, table, keys_of(table, snapshot))
        for row, expected in zip(rows, snapshot.to_pylist(), strict=True):
            assert_served(row, expected, table)

    def test_with_all_views_in_one_store(self, stores: tuple[Store, Store]) -> None:
        """On the Redis protocol, views of the same key share a hash."""
        for place, table in enumerate(VIEWS):
            snapshot = hard_snapshot(table, place)
            for store, choice in zip(stores, ("feast", "bulk"), strict=True):
                store.writer(choice).write(table.name, snapshot.to_batches())
        assert stores[1].content() == stores[0].content()

    def test_when_one_writes_over_the_other(self, stores: tuple[Store, Store]) -> None:
        for shift, choices in enumerate((("feast", "bulk"), ("bulk", "feast"))):
            for store, choice in zip(stores, choices, strict=True):
                store.writer(choice).write(USER_TASTE.name, hard_snapshot(USER_TASTE, shift).to_batches())
        assert stores[1].content() == stores[0].content()


class TestWrite:
    def test_the_last_of_rows_with_one_key_stays(self, bulk: Store) -> None:
        twice = pa.concat_tables([hard_snapshot(USER_PROFILE), hard_snapshot(USER_PROFILE, 1)]).combine_chunks()
        assert bulk.writer().write("user_profile", twice.to_batches()) == 2 * len(KEYS)
        rows = read_by_feast(bulk, USER_PROFILE, keys_of(USER_PROFILE, hard_snapshot(USER_PROFILE)))
        for row, expected in zip(rows, hard_snapshot(USER_PROFILE, 1).to_pylist(), strict=True):
            assert_served(row, expected, USER_PROFILE)

    def test_other_spaces_stay(self, bulk: Store) -> None:
        other = hard_snapshot(USER_EMBEDDING, 2).to_pylist()
        moved = pa.Table.from_pylist(
            [{**row, "space_id": "other"} for row in other], hard_snapshot(USER_EMBEDDING).schema
        )
        for snapshot in (hard_snapshot(USER_EMBEDDING), moved):
            bulk.writer().write("user_embedding", snapshot.to_batches())
        for snapshot in (hard_snapshot(USER_EMBEDDING), moved):
            rows = read_by_feast(bulk, USER_EMBEDDING, keys_of(USER_EMBEDDING, snapshot))
            for row, expected in zip(rows, snapshot.to_pylist(), strict=True):
                assert_served(row, expected, USER_EMBEDDING)

    def test_types_of_another_writer_are_read_as_the_contracts(self, stores: tuple[Store, Store]) -> None:
        snapshot = hard_snapshot(USER_PROFILE)
        stores[0].writer().write("user_profile", snapshot.to_batches())
        large = pa.schema(
            [one.with_type(pa.large_string()) if one.type == pa.string() else one for one in snapshot.schema]
        )
        stores[1].writer().write("user_profile", snapshot.cast(large).select(large.names[::-1]).to_batches())
        assert stores[1].content() == stores[0].content()

    def test_no_blocks_write_nothing(self, bulk: Store) -> None:
        before = bulk.content()
        assert bulk.writer().write("user_profile", []) == 0
        assert bulk.writer().write("user_profile", [hard_snapshot(USER_PROFILE).to_batches()[0].slice(0, 0)]) == 0
        assert bulk.content() == before

    def test_a_row_without_key_is_refused(self, bulk: Store) -> None:
        snapshot = hard_snapshot(USER_PROFILE)
        place = snapshot.schema.get_field_index("user_id")
        broken = snapshot.set_column(place, "user_id", pa.array([None, *KEYS[1:]], pa.string()))
        with pytest.raises(AttuneError, match="expected user_id in every row of the snapshot of user_profile, found 1"):
            bulk.writer().write("user_profile", broken.to_batches())

    def test_a_snapshot_without_a_column_is_refused(self, bulk: Store) -> None:
        with pytest.raises(AttuneError, match="expected column country in the snapshot of user_profile"):
            bulk.writer().write("user_profile", hard_snapshot(USER_PROFILE).drop_columns("country").to_batches())


class TestDeleteKeys:
    @pytest.mark.parametrize("choice", ["bulk", "feast"])
    def test_leaves_what_was_there_before_and_other_views(self, choice: str, bulk: Store) -> None:
        bulk.writer().write("user_taste", hard_snapshot(USER_TASTE).to_batches())
        bulk.writer().write("user_profile", blocks_of(hard_snapshot(USER_PROFILE))[:1])
        before = bulk.content()
        bulk.writer().write("user_profile", blocks_of(hard_snapshot(USER_PROFILE))[1:])
        gone = pa.RecordBatch.from_pydict({"user_id": [*KEYS[3:], "never served"]})
        assert bulk.writer(choice).delete_keys("user_profile", [gone]) == len(KEYS[3:]) + 1
        assert bulk.content() == before

    def test_of_one_view_leaves_the_key_to_another(self, bulk: Store) -> None:
        for name in ("user_profile", "user_history"):
            bulk.writer().write(name, hard_snapshot(ONLINE_TABLES[name]).to_batches())
        keys = hard_snapshot(USER_PROFILE).select(["user_id"])
        bulk.writer().delete_keys("user_profile", blocks_of(keys))
        for name, served in (("user_profile", False), ("user_history", True)):
            table = ONLINE_TABLES[name]
            rows = read_by_feast(bulk, table, keys_of(table, keys))
            assert all((row[f"{one.name}__ts"] > 0) is served for row in rows for _, one in values_of(table))

    @pytest.mark.parametrize("choice", ["bulk", "feast"])
    def test_and_counts_what_is_served_before_and_after(self, choice: str, bulk: Store) -> None:
        writer, snapshot = bulk.writer(choice), hard_snapshot(USER_PROFILE)
        keys = [*blocks_of(snapshot.select(["user_id"])), pa.RecordBatch.from_pydict({"user_id": ["never served"]})]
        bulk.writer().write("user_profile", snapshot.to_batches())
        assert writer.num_served("user_profile", keys) == snapshot.num_rows
        assert writer.num_served("user_history", keys) == 0
        writer.delete_keys("user_profile", keys[:1])
        assert writer.num_served("user_profile", keys) == snapshot.num_rows - len(keys[0])

    def test_takes_one_space_of_a_user(self, bulk: Store) -> None:
        snapshot = hard_snapshot(USER_EMBEDDING)
        bulk.writer().write("user_embedding", snapshot.to_batches())
        other = pa.RecordBatch.from_pydict({"user_id": list(KEYS), "space_id": ["other"] * len(KEYS)})
        before = bulk.content()
        bulk.writer().delete_keys("user_embedding", [other])
        assert bulk.content() == before
        bulk.writer().delete_keys("user_embedding", snapshot.to_batches())
        assert bulk.content() != before


class TestChoice:
    @staticmethod
    def config(**changes: Any) -> dict[str, Any]:
        sqlite = {"type": "sqlite", "path": "online.db"}
        known = {"project": "attune", "registry": {}, "entity_key_serialization_version": 3, "online_store": sqlite}
        return {**known, **changes}

    @staticmethod
    def unopened() -> Any:
        raise AssertionError("Feast is imported for nothing")

    def test_bulk_needs_no_feast(self) -> None:
        redis = {"type": "redis", "connection_string": "h:1", "skip_dedup": True}
        assert isinstance(online_writer(self.config(), "bulk", self.unopened), SqliteWriter)
        assert isinstance(online_writer(self.config(online_store=redis), "bulk", self.unopened), RedisWriter)

    def test_feast_by_choice_warns_of_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        assert isinstance(online_writer(self.config(), "feast", lambda: None), FeastWriter)
        assert caplog.records == []

    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"entity_key_serialization_version": 2}, "expected entity keys of version 3, found 2"),
            ({"online_store": {"type": "dynamodb"}}, "expected a plain online store.*, found {'type': 'dynamodb'}"),
            ({"online_store": {"type": "sqlite", "path": "x", "vector_enabled": True}}, "found .*vector_enabled"),
            ({"online_store": {"type": "redis", "connection_string": "h:1", "key_ttl_seconds": 5}}, "key_ttl_seconds"),
            ({"registry": {"enable_online_feature_view_versioning": True}}, "without versions, found versions"),
        ],
    )
    def test_unknown_formats_are_left_to_feast_with_one_line(
        self, changes: dict[str, Any], line: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            chosen = online_writer(self.config(**changes), "bulk", lambda: None)
        assert isinstance(chosen, FeastWriter)
        (message,) = caplog.messages
        assert re.search(line, message)
        assert message.endswith("; Feast's own writer is used, which is slower")

    def test_another_feast_writes_by_itself_and_deletes_nothing(
        self, bulk: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(writer, "FEAST_VERSION", "0.66.9")
        with caplog.at_level(logging.WARNING, logger=writer.__name__):
            chosen = bulk.writer()
        assert caplog.messages == ["expected Feast 0.66.9, found 0.67.0; Feast's own writer is used, which is slower"]
        snapshot = hard_snapshot(USER_TASTE, times=(OTHER_AS_OF,))
        assert chosen.write("user_taste", snapshot.to_batches()) == len(KEYS)
        rows = read_by_feast(bulk, USER_TASTE, keys_of(USER_TASTE, snapshot))
        assert_served(rows[0], snapshot.to_pylist()[0], USER_TASTE)
        with pytest.raises(AttuneError, match=r"expected Feast 0.66.9 to delete keys of user_taste .* found 0.67.0"):
            chosen.delete_keys("user_taste", snapshot.to_batches())
