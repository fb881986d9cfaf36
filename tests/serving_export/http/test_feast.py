"""A Feast client reads every view and service through the server as it would directly."""

from __future__ import annotations

import copy
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import uvicorn
from fastapi.testclient import TestClient

from serving_export.http.app import build_app
from serving_export.online import write_online
from tests.serving_export.world import DAY1, World
from tests.training.data.landed_logs import at
from training.contracts.columns import DBT_FEATURES, EVENT_TIMESTAMP, POOLED_FEATURES, Table
from training.data import feature_store
from training.data.online.blocks import ONLINE_TABLES, features
from training.registry.pointer import read_pointer
from training.settings import Settings
from training.storage import PART, arrow_schema, write_parquet

pytestmark = pytest.mark.integration
ITEM_SPACE = "20261101-11111111"
OWNERS = ("u01", "u02", "nobody", "u01")


def value_of(kind: str, number: int) -> object:
    """A value of a kind, different for each number; every third list is empty."""
    lists = {"strings": [f"i{number}", "ä"], "timestamps": [at("2026-01-01")], "floats": [0.1 * number, -1.0, 1e-8]}
    if kind in lists:
        return [] if number % 3 == 0 else lists[kind]
    return {"string": f"text {number}", "double": number / 7, "bigint": number}[kind]


def write_snapshot(settings: Settings, table: Table) -> None:
    owner, space = table.key[0], ITEM_SPACE if table.name in POOLED_FEATURES else None
    rows = [
        {
            **{one.name: value_of(one.kind, number * 10 + place) for place, one in enumerate(features(table))},
            owner: f"{owner[0]}{number:02d}",
            EVENT_TIMESTAMP: DAY1.as_of,
            **({"item_space_id": space} if space else {}),
        }
        for number in range(1, 4)
    ]
    write_parquet(
        pa.Table.from_pylist(rows, schema=arrow_schema(table)), settings.features_dir(table.name, DAY1, space) / PART
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A home whose every view is served online and whose live space is published."""
    world = World(Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("feast") / "home")}))
    for table in (*DBT_FEATURES.values(), *POOLED_FEATURES.values()):
        write_snapshot(world.settings, table)
    feature_store.apply(world.settings)
    feature_store.materialise(world.settings, DAY1)
    world.promote(DAY1)
    live = read_pointer(world.settings.published_dir).live
    write_online(world.settings, live, live.space_id)
    return world


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve a home from a thread of this process, which then has to load Feast only once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(build_app(settings), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def stores(home: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, object]]:
    """Feast over the online store itself, and Feast over our server."""
    from feast import FeatureStore, RepoConfig

    direct = feature_store.feature_store(home.settings)
    with serving(home.settings) as address:
        values = copy.deepcopy(feature_store._configuration(home.settings))
        values["online_store"] = {"type": "remote", "path": address}
        yield direct, FeatureStore(config=RepoConfig(**values, repo_path=Path(feature_store.FEATURE_REPO)))


def keys_of(home: World, names: set[str]) -> list[dict[str, str]]:
    space_id = read_pointer(home.settings.published_dir).live.space_id
    others = {"item_space_id": ITEM_SPACE, "space_id": space_id}
    return [{name: others.get(name, owner.replace("u", name[0])) for name in names} for owner in OWNERS]


def comparable(answer: object) -> tuple[dict[str, list[object]], dict[str, list[int]]]:
    """Values with times as seconds, which is all that Feast's protocol carries of them, and the statuses by name."""
    proto = answer.proto
    statuses = {
        name: list(result.statuses)
        for name, result in zip(proto.metadata.feature_names.val, proto.results, strict=True)
    }
    return {name: [plain(value) for value in column] for name, column in answer.to_dict().items()}, statuses


def plain(value: object) -> object:
    if isinstance(value, list):
        return [plain(one) for one in value] or None
    return int(value.timestamp()) if hasattr(value, "timestamp") else value


@pytest.mark.parametrize("view", sorted(ONLINE_TABLES))
@pytest.mark.parametrize("full_names", [False, True])
def test_every_view_is_read_as_directly(home: World, stores: tuple, view: str, full_names: bool) -> None:
    direct, remote = stores
    table = ONLINE_TABLES[view]
    refs = [f"{view}:{one.name}" for one in features(table)]
    rows = keys_of(home, set(table.key))
    expected, found = (
        store.get_online_features(refs, rows, full_feature_names=full_names) for store in (direct, remote)
    )
    assert comparable(found) == comparable(expected)
    assert any(value is not None for value in comparable(found)[0][list(found.to_dict())[-1]])


@pytest.mark.parametrize(
    "service", ["user_encoder_v1", "matching_v1", "cold_start_v1", "multi_interest_v1", "items_v1"]
)
def test_every_service_is_read_as_directly(home: World, stores: tuple, service: str) -> None:
    direct, remote = stores
    declared = direct.get_feature_service(service)
    names = {key for view in declared.feature_view_projections for key in ONLINE_TABLES[view.name].key}
    rows = keys_of(home, names)
    expected, found = (store.get_online_features(declared, rows) for store in (direct, remote))
    assert comparable(found) == comparable(expected)


def test_all_services_are_tried(stores: tuple) -> None:
    known = {service.name for service in stores[0].list_feature_services()}
    assert known == {"user_encoder_v1", "matching_v1", "cold_start_v1", "multi_interest_v1", "items_v1"}


def test_timestamps_are_those_of_the_online_store(home: World) -> None:
    from feast.feature_server_utils import convert_response_to_dict

    client, direct = TestClient(build_app(home.settings)), feature_store.feature_store(home.settings)
    for view, table in ONLINE_TABLES.items():
        refs = [f"{view}:{one.name}" for one in features(table)]
        rows = keys_of(home, set(table.key))
        entities = {name: [row[name] for row in rows] for name in rows[0]}
        found = client.post("/get-online-features", json={"features": refs, "entities": entities}).json()
        expected = convert_response_to_dict(direct.get_online_features(refs, rows).proto)
        times = {
            name: result["event_timestamps"]
            for name, result in zip(expected["metadata"]["feature_names"], expected["results"], strict=True)
        }
        assert times == {
            name: result["event_timestamps"]
            for name, result in zip(found["metadata"]["feature_names"], found["results"], strict=True)
        }, view


def test_vectors_are_the_packed_ones_even_where_the_online_store_has_others(home: World) -> None:
    from training.data.online.space_rows import write_vectors

    space_id = read_pointer(home.settings.published_dir).live.space_id
    other = "20261105-99999999"
    for name in (space_id, other):
        write_vectors(home.settings, name, DAY1.as_of, ["u01"], np.full((1, 8), 9, np.float32))
    try:
        client = TestClient(build_app(home.settings))
        rows = {"user_id": ["u01", "u01"], "space_id": [space_id, other]}
        for extra in ([], ["user_history:history_item_ids"]):
            asked = {"features": ["user_embedding:vector", *extra], "entities": rows}
            found = client.post("/get-online-features", json=asked).json()
            column = found["results"][found["metadata"]["feature_names"].index("vector")]
            ours = client.get("/users/u01/embedding").json()["vector"]
            assert column["values"] == [ours, [9.0] * 8]
            assert column["statuses"] == ["PRESENT", "PRESENT"]
    finally:
        live = read_pointer(home.settings.published_dir).live
        write_online(home.settings, live, live.space_id)


def test_refusals_reach_a_feast_client_as_its_own_errors(home: World, stores: tuple) -> None:
    from feast.errors import FeatureViewNotFoundException

    with pytest.raises(FeatureViewNotFoundException, match="elsewhere"):
        stores[1].get_online_features(["elsewhere:vector"], keys_of(home, {"user_id"}))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"features": [], "entities": {"user_id": ["u01"]}}, 422),
        ({"features": ["user_history:history_item_ids"], "entities": {}}, 422),
        ({"features": ["user_history:history_item_ids"], "entities": {"user_id": ["u01"], "space_id": []}}, 422),
        ({"features": ["user_history:history_item_ids"], "entities": {"item_id": ["i01"]}}, 422),
        ({"features": ["user_history"], "entities": {"user_id": ["u01"]}}, 422),
        ({"features": ["user_history:nothing"], "entities": {"user_id": ["u01"]}}, 422),
        ({"feature_service": "nothing", "entities": {"user_id": ["u01"]}}, 404),
        ({"features": ["user_embedding:vector"], "entities": {"user_id": ["u01"], "space_id": [1]}}, 422),
        ({"features": ["a:b"] * 300, "entities": {"user_id": ["u01"]}}, 422),
    ],
)
def test_what_cannot_be_answered_is_refused_not_broken(home: World, body: dict, status: int) -> None:
    client = TestClient(build_app(home.settings), raise_server_exceptions=False)
    assert client.post("/get-online-features", json=body).status_code == status
