"""A judge that could not find a fault would prove nothing: each kind is put before it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from serving_export.answers import embeddings_json, ranking_json
from serving_export.lookup import EmbeddingStore
from tests.dags.backfill.judge import Judge, Told
from tests.dags.backfill.marks import Marks
from tests.dags.backfill.published import Published
from tests.serving_export.world import DAY1, DAY2, World
from training.settings import Settings

NOTHING = Marks()
GONE = Marks(erasing="u03", erased="u03")


@pytest.fixture
def served(tmp_path) -> tuple[Judge, EmbeddingStore, list[str]]:
    """A judge who has seen the snapshots of two spaces, and a store that answers from the second."""
    world = World(Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")}))
    spaces = world.promote(DAY1, DAY2)
    published = Published(world.settings)
    published.collect()
    return Judge(published), EmbeddingStore(world.settings.published_dir), spaces


def lookup(store: EmbeddingStore, users: list[str], marks: Marks = NOTHING, **pin: str) -> Told:
    found = store.lookup(users, "ignore", frame=pin.get("frame"))
    return Told("lookup", tuple(users), 200, embeddings_json(found), marks, marks, **pin)


def ranking(store: EmbeddingStore, query: str, marks: Marks = NOTHING) -> Told:
    found = store.recommend(query, 5) if query.startswith("u") else store.target(query, 50)
    body = ranking_json(found, store.model("matching", query), store.standing(store.snapshot))
    return Told("recommend" if query.startswith("u") else "target", (query,), 200, body, marks, marks)


def changed(told: Told, change: Any) -> Told:
    body = deepcopy(told.body)
    change(body)
    return replace(told, body=body)


USERS = [f"u{number:02d}" for number in range(10)]


def test_answers_as_published_are_no_fault(served):
    judge, store, spaces = served
    frame = store.pointer.frame
    for told in (lookup(store, USERS), lookup(store, USERS, frame=frame), ranking(store, "u01"), ranking(store, "i02")):
        judge.take(told)
    assert judge.faults == []
    assert (judge.counts["vectors"], judge.counts["rankings"], judge.counts["answers"]) == (20, 2, 4)
    assert judge.spaces == {spaces[1]: 4}


def test_a_vector_of_another_space_is_mixed(served):
    judge, store, spaces = served
    legacy = EmbeddingStore(judge.published.folder, space_id=spaces[0])
    other = legacy.lookup(["u04"]).vectors[0].tolist()
    judge.take(changed(lookup(store, USERS), lambda body: body["users"][4].update(vector=other)))
    judge.take(changed(lookup(store, USERS), lambda body: body.update(space_id=spaces[0])))
    judge.take(replace(lookup(store, USERS), space=spaces[0]))
    assert judge.counts["mixed"] == 3


def test_a_vector_outside_of_the_frame_that_was_asked_for_is_mixed(served):
    judge, store, _ = served
    judge.take(replace(lookup(store, USERS), frame=store.pointer.frame))
    assert judge.counts["mixed"] == 1


def test_a_last_bit_is_seen(served):
    judge, store, _ = served

    def nudge(body: dict[str, Any]) -> None:
        body["users"][0]["vector"][0] *= 1 + 2**-22

    judge.take(changed(lookup(store, USERS), nudge))
    assert judge.counts["mixed"] == 1


def test_a_ranking_of_another_model_is_mixed(served):
    judge, store, spaces = served
    judge.take(changed(ranking(store, "u01"), lambda body: body.update(version="another")))
    judge.take(changed(ranking(store, "u01"), lambda body: body["scores"].reverse()))
    judge.take(replace(ranking(store, "u01"), before=Marks(pinned=spaces[0])))
    assert judge.counts["mixed"] == 3


def test_a_user_whom_the_snapshot_holds_or_who_was_known_is_missing(served):
    judge, store, _ = served
    judge.take(changed(lookup(store, USERS), lambda body: body["users"].pop()))
    assert judge.faults[0].startswith("missing: 1 users, u09 first")
    judge.take(lookup(store, ["nobody"]))
    assert judge.counts["missing"] == 1
    judge.known.add("nobody")
    judge.take(lookup(store, ["nobody"]))
    assert judge.counts["missing"] == 2


def test_an_empty_ranking_is_missing(served):
    judge, store, _ = served
    judge.take(changed(ranking(store, "u01"), lambda body: body.update(ids=[], scores=[])))
    assert judge.counts["missing"] == 1


def test_every_error_counts_but_that_of_the_erased(served):
    judge, _, _ = served
    refused = Told("lookup", ("u03",), 404, {"error": "unknown"}, GONE, GONE)
    judge.take(refused)
    assert (judge.counts["refused"], judge.counts["error"]) == (1, 0)
    judge.take(replace(refused, before=NOTHING, after=NOTHING))
    judge.take(replace(refused, status=500))
    judge.take(replace(refused, kind="target"))
    judge.take(replace(refused, asked=("u04",)))
    judge.take(replace(refused, status=0))
    assert judge.counts["error"] == 5


def test_the_erased_may_be_answered_for_until_the_command_has_ended(served):
    judge, store, _ = served
    judge.take(replace(lookup(store, USERS), after=Marks(erasing="u03")))
    judge.take(replace(lookup(store, [*USERS[:3], *USERS[4:]]), asked=tuple(USERS), after=GONE))
    assert judge.faults == []
    judge.take(lookup(store, USERS, GONE))
    judge.take(ranking(store, "u03", GONE))
    judge.take(ranking(store, "i02", GONE))
    assert judge.counts["leaked"] == 3


def test_a_snapshot_is_remembered_when_its_folder_has_gone(served):
    import shutil

    judge, store, _ = served
    told = lookup(store, USERS)
    shutil.rmtree(store.snapshot.folder)
    judge.published.collect()
    judge.take(told)
    assert judge.faults == []
