"""From the request on nobody answers for the user: store, HTTP, rankings, files of rankings; within a second."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving_export import index
from serving_export.erasure.requests import close, file_request, pending, read_ids
from serving_export.http.app import build_app
from serving_export.lookup import EmbeddingStore
from serving_export.rank import write_rankings
from tests.serving_export.world import DAY1, World
from training.contracts.errors import AttuneError, UnknownId
from training.contracts.tombstones import TombstoneFile


def test_every_door_of_python_takes_the_user_for_unknown(world: World) -> None:
    world.promote(DAY1)
    store = EmbeddingStore(world.settings.published_dir)
    before = store.target("i03", 40, drop_seen=False).ids
    assert "u11" in before
    file_request(world.settings, ["u11"], "asked")
    assert store.lookup(["u11", "u12"], "ignore").unknown == ("u11",)
    with pytest.raises(UnknownId, match="unknown user 'u11'"):
        store.recommend("u11", 5)
    assert store.recommend("u11", 5, on_unknown="popularity").fallback
    assert store.target("i03", 40, drop_seen=False).ids == tuple(user for user in before if user != "u11")
    assert store.target("i03", 3, drop_seen=False).ids == tuple(user for user in before if user != "u11")[:3]


def test_best_users_stay_as_many_as_asked_for_when_the_best_is_erased(world: World) -> None:
    world.promote(DAY1)
    store = EmbeddingStore(world.settings.published_dir)
    before = store.target("i03", 6, drop_seen=False).ids
    file_request(world.settings, before[:3], "asked")
    assert store.target("i03", 3, drop_seen=False).ids == before[3:]


def test_an_index_gives_no_erased_user_either(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EXACT_VALUES", {"item": 0, "user": 0})
    monkeypatch.setattr(index, "_is_worth_a_search", lambda wanted, rows: True)
    world.promote(DAY1)
    consumer = EmbeddingStore(world.settings.published_dir).consumer("matching")
    searched = index.ApproximateConsumer(consumer)
    before = searched.target("i03", 5, drop_seen=False).ids
    file_request(world.settings, [before[0]], "asked")
    after = searched.target("i03", 5, drop_seen=False).ids
    assert (len(after), after[:4]) == (5, before[1:])


@pytest.mark.parametrize("task", ["recommend", "target"])
def test_files_of_rankings_leave_the_user_out(world: World, tmp_path: Path, task: str) -> None:
    world.promote(DAY1)
    file_request(world.settings, ["u11", "u10"], "asked")
    snapshot = EmbeddingStore(world.settings.published_dir).snapshot
    write_rankings(snapshot, "matching", task, tmp_path / "out.tsv", k=50, drop_seen=False)
    text = (tmp_path / "out.tsv").read_text()
    assert "u12" in text
    assert "u11" not in text
    assert "u10" not in text


def test_a_running_server_follows_another_process_within_a_second(world: World) -> None:
    world.promote(DAY1)
    code = (
        "import sys; from serving_export.erasure.requests import file_request; from training.settings import Settings; "
        "file_request(Settings.from_env(), ['u11'], 'asked')"
    )
    with TestClient(build_app(world.settings)) as client:
        assert client.get("/users/u11/embedding").status_code == 200
        env = {"ATTUNE_HOME": str(world.settings.home), "PYTHONPATH": ".", "PATH": "/usr/bin:/bin"}
        subprocess.run([sys.executable, "-c", code], check=True, env=env)
        started = time.monotonic()
        assert client.get("/users/u11/embedding").status_code == 404
        assert client.get("/recommend/u11").status_code == 404
        assert client.get("/recommend/u11?on_unknown=popularity").json()["fallback"]
        assert client.post("/embeddings", json={"user_ids": ["u11", "u12"], "on_unknown": "ignore"}).json()[
            "unknown"
        ] == ["u11"]
        assert "u11" not in client.get("/target/i03?k=40&drop_seen=false").json()["ids"]
        assert time.monotonic() - started < 1


def test_a_request_is_kept_until_it_is_closed_and_the_record_names_nobody(world: World) -> None:
    request = file_request(world.settings, ["u11", "u11", "u12"], "a letter of u11")
    assert pending(world.settings) == [request]
    assert request.reason == "a letter of ***"
    folder = world.settings.home / "erasure" / "pending"
    assert folder.stat().st_mode & 0o77 == 0
    close(world.settings, request, {"raw": 2})
    assert pending(world.settings) == []
    [record] = (world.settings.home / "erasure" / "done").iterdir()
    assert not any(user in record.read_text() for user in request.user_ids)
    assert all(TombstoneFile(world.settings.published_dir).read().among(request.user_ids)), "for ever"


@pytest.mark.parametrize(("users", "reason"), [([], "asked"), (["u1"], " "), ([""], "asked")])
def test_nobody_and_no_reason_are_refused(world: World, users: list[str], reason: str) -> None:
    with pytest.raises(AttuneError, match="--reason"):
        file_request(world.settings, users, reason)


def test_ids_are_read_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("u1\n\n u 2 \n")
    assert read_ids(tmp_path / "ids") == ["u1", "u 2"]
    with pytest.raises(AttuneError, match="--users"):
        read_ids(tmp_path / "none")
