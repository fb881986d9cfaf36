"""What is taken of a block of rows."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest

from tests.training.data.online.hard_snapshots import AS_OF, KEYS, OTHER_AS_OF, hard_snapshot
from training.contracts.columns import USER_EMBEDDING, USER_PROFILE
from training.contracts.errors import AttuneError
from training.data.feature_store import ONLINE_VIEWS
from training.data.online.blocks import ONLINE_TABLES, block_keys, by_time, contract_columns, features


def test_every_view_has_its_table() -> None:
    assert tuple(ONLINE_TABLES) == ONLINE_VIEWS
    assert all(table.name == view for view, table in ONLINE_TABLES.items())


def test_features_are_neither_key_nor_time() -> None:
    assert [column.name for column in features(USER_EMBEDDING)] == ["vector"]


def test_keys_need_the_key_columns_alone() -> None:
    block = hard_snapshot(USER_EMBEDDING).to_batches()[0]
    expected = block_keys(USER_EMBEDDING, block)
    assert block_keys(USER_EMBEDDING, block.select(["space_id", "user_id"])).equals(expected)
    with pytest.raises(AttuneError, match="expected column space_id in the snapshot of user_embedding"):
        block_keys(USER_EMBEDDING, block.select(["user_id"]))


def test_columns_have_the_contracts_types() -> None:
    block = pa.RecordBatch.from_pydict(
        {"user_id": pa.array(KEYS).dictionary_encode(), "tenure_days": pa.array([1] * 7, pa.int16())}
    )
    columns = contract_columns(USER_PROFILE, block, ["user_id", "tenure_days"])
    assert [column.type for column in columns.values()] == [pa.string(), pa.int64()]
    with pytest.raises(AttuneError, match="expected column country"):
        contract_columns(USER_PROFILE, block, ["country"])


def test_each_time_is_encoded_once() -> None:
    asked: list[datetime] = []

    def encode(at: datetime) -> str:
        asked.append(at)
        return at.isoformat()

    column = pa.array([AS_OF, OTHER_AS_OF, AS_OF], pa.timestamp("us", tz="UTC"))
    assert by_time(column, encode) == [AS_OF.isoformat(), OTHER_AS_OF.isoformat(), AS_OF.isoformat()]
    assert asked == [AS_OF, OTHER_AS_OF]
