"""A home that went through the whole chain: places that name users before, none after, whatever happens meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving_export.erasure.erase import carry_out, request_erasure, verify
from serving_export.erasure.files import ERASURE
from serving_export.erasure.requests import pending
from serving_export.flip import rollback
from serving_export.lookup import EmbeddingStore
from serving_export.refresh import refresh_embeddings
from tests.walk.chain import walk
from tests.walk.logs import Shape, make
from training.contracts.errors import AttuneError, UnknownId
from training.contracts.partitions import Partition
from training.data import built_days
from training.jobs import run
from training.registry.pointer import read_pointer
from training.settings import Settings
from training.storage import PART, list_partitions

pytestmark = [pytest.mark.walk, pytest.mark.slow]
GONE = ["u007", "u011"]
SHAPE = Shape(
    num_users=60, num_items=30, num_events=1500, num_days=12, users="picks", items="varied", events="all", sessions=True
)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("walked") / "home")})
    assert walk(settings, make(SHAPE)).served
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
    """The home as it was after the walk, in its own place: the warehouse's views name where landed days lie."""
    shutil.rmtree(walked.home)
    shutil.copytree(kept, walked.home)
    return walked


def test_places_before_and_none_after(home: Settings) -> None:
    before = verify(home, GONE)
    stores = {name.split("/")[0] for name in before}
    assert stores >= {"raw", "landed", "features", "embeddings", "taste_sums", "warehouse", "feast", "published"}
    assert {"reports/imports/csv.txt", "airflow/logs/attempt=1.log"} <= set(before)
    others, vectors = _others(home)
    request_erasure(home, GONE, "a letter of u007")
    done = carry_out(home)
    assert (done["requests"], done["users"]) == (1, 2)
    assert verify(home, GONE) == {}
    assert verify(home, ["u008"]), "others are still there"
    np.testing.assert_array_equal(EmbeddingStore(home.published_dir).lookup(others).vectors, vectors)
    EmbeddingStore(home.published_dir).verify()
    assert pending(home) == []
    [record] = (home.home / ERASURE / "done").glob("*.json")
    assert not any(user in record.read_text() for user in GONE)
    assert "u008" in (home.reports_dir / "imports" / "csv.txt").read_text()


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
