"""Every function against Feast's own, value by value."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.data.online.hard_snapshots import AS_OF, HARD_VALUES, KEYS, OTHER_AS_OF
from training.contracts.columns import Kind
from training.data.online import feast_bytes

pytestmark = pytest.mark.integration
TYPES: dict[Kind, tuple[pa.DataType, str]] = {
    "string": (pa.string(), "STRING"),
    "double": (pa.float64(), "DOUBLE"),
    "float": (pa.float32(), "FLOAT"),
    "bigint": (pa.int64(), "INT64"),
    "timestamp": (pa.timestamp("us", tz="UTC"), "UNIX_TIMESTAMP"),
    "strings": (pa.list_(pa.string()), "STRING_LIST"),
    "timestamps": (pa.list_(pa.timestamp("us", tz="UTC")), "UNIX_TIMESTAMP_LIST"),
    "floats": (pa.list_(pa.float32()), "FLOAT_LIST"),
}
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2250, 1, 1)).map(lambda value: value.replace(tzinfo=UTC))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)
DRAWN: dict[Kind, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "double": st.floats(),
    "float": st.floats(width=32),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "timestamp": TIMES,
    "strings": st.lists(TEXTS, max_size=5),
    "timestamps": st.lists(TIMES, max_size=5),
    "floats": st.lists(st.floats(width=32), max_size=40),
}
NULLABLE: tuple[Kind, ...] = ("string", "double", "strings", "timestamps", "floats")
"""Kinds that keep their type with a null in them; Feast refuses whole numbers that pandas made floats."""


def by_feast(column: pa.Array, kind: Kind) -> list[Any]:
    """Return the `ValueProto`s that Feast makes of a column on the way of `write_to_online_store`."""
    from feast import ValueType
    from feast.type_map import python_values_to_proto_values

    frame = pa.table({"feature": column}).to_pandas()
    values = pa.Table.from_pandas(frame).to_batches()[0].column("feature").to_numpy(zero_copy_only=False)
    return list(python_values_to_proto_values(values, ValueType[TYPES[kind][1]]))


def agree(values: list[Any], kind: Kind) -> None:
    """Hold bytes and texts of a column, whole and sliced, against Feast's."""
    from feast.infra.online_stores.helpers import extract_text_and_num

    for column in (pa.array(values, TYPES[kind][0]), pa.array(values * 2, TYPES[kind][0])[1 : len(values) + 1]):
        protos = by_feast(column, kind)
        found = feast_bytes.as_list(feast_bytes.value_protos(column, kind))
        assert found == [proto.SerializeToString() for proto in protos]
        texts = [extract_text_and_num(proto, False)[0] for proto in protos]
        assert feast_bytes.value_texts(column, kind) == texts


class TestValues:
    @pytest.mark.parametrize("kind", list(HARD_VALUES))
    def test_hard_ones_are_as_feast_writes_them(self, kind: Kind) -> None:
        agree(HARD_VALUES[kind], kind)

    @pytest.mark.parametrize("kind", list(DRAWN))
    def test_any_are_as_feast_writes_them(self, kind: Kind) -> None:
        @settings(max_examples=60, deadline=None, derandomize=True)
        @given(st.lists(DRAWN[kind], min_size=1, max_size=6))
        def hold(values: list[Any]) -> None:
            agree(values, kind)

        hold()

    @pytest.mark.parametrize("kind", NULLABLE)
    def test_a_null_is_as_feast_writes_it(self, kind: Kind) -> None:
        agree([HARD_VALUES[kind][0], None, HARD_VALUES[kind][3]], kind)

    @pytest.mark.parametrize("kind", ["strings", "timestamps", "floats"])
    def test_a_null_within_a_list_is_as_feast_writes_it(self, kind: Kind) -> None:
        some = HARD_VALUES[kind][0]
        agree([[*some, None, *some], some], kind)

    def test_a_null_whole_number_has_no_value(self) -> None:
        column = pa.array([None, 5], pa.int64())
        assert feast_bytes.as_list(feast_bytes.value_protos(column, "bigint")) == [b"", b"\x20\x05"]
        assert feast_bytes.value_texts(column, "bigint") == [None, "5"]

    @pytest.mark.parametrize("kind", list(TYPES))
    def test_no_rows_give_none(self, kind: Kind) -> None:
        empty = feast_bytes.value_protos(pa.array([], TYPES[kind][0]), kind)
        assert feast_bytes.as_list(empty) == []
        assert bytes(feast_bytes.end_to_end(empty)) == b""


class TestKeys:
    @pytest.mark.parametrize("names", [["user_id"], ["user_id", "item_space_id"], ["item_space_id", "user_id"]])
    def test_are_as_feast_serialises_them(self, names: list[str]) -> None:
        from feast.infra.key_encoding_utils import serialize_entity_key
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey
        from feast.protos.feast.types.Value_pb2 import Value

        columns = {"user_id": list(KEYS), "item_space_id": ["20260101-aaaaaaaa"] * len(KEYS)}
        expected = [
            serialize_entity_key(
                EntityKey(join_keys=names, entity_values=[Value(string_val=columns[name][n]) for name in names]),
                feast_bytes.ENTITY_KEY_VERSION,
            )
            for n in range(len(KEYS))
        ]
        found = feast_bytes.entity_keys(names, [pa.array(columns[name]) for name in names])
        assert feast_bytes.as_list(found) == expected
        assert bytes(feast_bytes.end_to_end(found)) == b"".join(expected)

    def test_fields_are_as_feast_hashes_them(self) -> None:
        from feast.infra.online_stores.helpers import _mmh3

        for feature in ("tenure_days", "vector", "ä"):
            assert feast_bytes.hash_field("user_profile", feature) == _mmh3(f"user_profile:{feature}")
        assert feast_bytes.timestamp_field("user_profile") == b"_ts:user_profile"


class TestTimes:
    @pytest.mark.parametrize(
        "value", [AS_OF, OTHER_AS_OF, AS_OF.replace(tzinfo=None), datetime(1970, 1, 1), datetime(1969, 12, 31, 23, 59)]
    )
    def test_a_proto_is_as_protobuf_writes_it(self, value: datetime) -> None:
        from google.protobuf.timestamp_pb2 import Timestamp

        message = Timestamp()
        message.FromDatetime(value)
        assert feast_bytes.timestamp_proto(value) == message.SerializeToString()

    @pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
    def test_sqlite_keeps_what_feasts_adapter_binds(self, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from feast.infra.online_stores.sqlite import adapt_datetime_epoch, convert_timestamp
        from feast.utils import to_naive_utc

        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            kept = feast_bytes.sqlite_timestamp(OTHER_AS_OF)
            assert kept == adapt_datetime_epoch(to_naive_utc(OTHER_AS_OF))
            assert convert_timestamp(str(kept).encode()) == OTHER_AS_OF.replace(tzinfo=None, microsecond=0)
        finally:
            monkeypatch.undo()
            time.tzset()


def test_the_formats_are_those_of_the_installed_feast() -> None:
    """A newer Feast is served by its own writer until its bytes were compared by these tests."""
    import feast

    assert feast.__version__ == feast_bytes.FEAST_VERSION


def test_varints_at_every_length() -> None:
    from google.protobuf.internal.encoder import _VarintBytes

    numbers = [0, *(2**power + step for power in range(7, 63, 7) for step in (-1, 0, 1)), 2**63 - 1]
    encode: Callable[[int], bytes] = _VarintBytes
    column = feast_bytes.value_protos(pa.array(numbers, pa.int64()), "bigint")
    assert feast_bytes.as_list(column) == [b"\x20" + encode(number) for number in numbers]


def test_a_time_far_from_now_keeps_its_second() -> None:
    values = [[AS_OF - timedelta(days=60 * 365, microseconds=1), AS_OF + timedelta(days=200 * 365, microseconds=-1)]]
    agree(values, "timestamps")
