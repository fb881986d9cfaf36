"""A reader asks a real server over HTTP, and says what it was told."""

from __future__ import annotations

import json
import socket
import threading
from multiprocessing import Event
from pathlib import Path

import pytest
import uvicorn

from serving_export.erasure.requests import bury
from serving_export.http.app import build_app
from serving_export.lookup import EmbeddingStore
from tests.dags.backfill.marks import Marks
from tests.dags.backfill.reader import Readings, read_on
from tests.serving_export.world import DAY1, DAY2, World
from training.settings import Settings

USERS = tuple(f"u{number:02d}" for number in range(60))


@pytest.fixture
def home(tmp_path: Path):
    """A home of two spaces, and a server of it on a free port."""
    world = World(Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")}))
    world.promote(DAY1, DAY2)
    server = uvicorn.Server(uvicorn.Config(build_app(world.settings), log_level="error"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield world, listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def read_once(tmp_path: Path, world: World, port: int) -> dict:
    """Return the report of one round."""
    frame = EmbeddingStore(world.settings.published_dir).pointer.frame
    marks, report = tmp_path / "marks.json", tmp_path / "reader.json"
    stop = Event()
    stop.set()
    read_on(Readings(world.settings.home, port, USERS, ("i02",), frame, marks, report), stop)
    return json.loads(report.read_bytes())


def test_everyone_and_a_ranking_are_read_in_a_round(home, tmp_path: Path) -> None:
    world, port = home
    report = read_once(tmp_path, world, port)
    assert report["faults"] == []
    assert (report["counts"]["vectors"], report["counts"]["rankings"]) == (len(world.users(DAY2)), 1)
    assert list(report["spaces"]) == [EmbeddingStore(world.settings.published_dir).space_id]


def test_the_erased_is_asked_for_and_refused(home, tmp_path: Path) -> None:
    world, port = home
    Marks(erasing="u03", erased="u03").write(tmp_path / "marks.json")
    assert read_once(tmp_path, world, port)["counts"]["leaked"] > 0
    bury(world.settings, frozenset({"u03"}))
    report = read_once(tmp_path, world, port)
    assert (report["faults"], report["counts"]["refused"]) == ([], 2)


def test_silence_is_an_error(home, tmp_path: Path) -> None:
    world, _ = home
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        report = read_once(tmp_path, world, taken.getsockname()[1])
    assert report["counts"]["error"] == report["counts"]["answers"] == 2
    assert "Connection refused" in report["faults"][0]
