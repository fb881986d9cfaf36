"""Retrain day after day, over renewals of the item space: a reader of the first day reads on and hears the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.promote import promote_space
from serving_export.snapshot_writer import Sources
from tests.training.representation.feature_home import two_tastes
from tests.training.representation.trained_home import SMALL
from training.contracts.artefacts import SpaceRef
from training.contracts.partitions import Partition
from training.data import feature_store
from training.registry.ledger import Ledger
from training.representation.frame import Frame
from training.representation.item_space import load_item_space
from training.representation.rows import ensure_snapshot, read_snapshot
from training.representation.user_encoder import gate_space, train_space
from training.representation.user_space import UserSpace
from training.settings import Settings

pytestmark = [pytest.mark.walk, pytest.mark.slow]
LAST = Partition.parse("2026-03-24")
DAYS = [LAST.shift(back) for back in range(-4, 1)]
COLD = 2
"""The day whose encoder begins anew, on other axes: only the map brings it back."""
WARM = replace(SMALL, seven_day=False)


@dataclass(frozen=True)
class Walked:
    """A home after a retrain and a promotion on each of `DAYS`, with what each promotion reported."""

    settings: Settings
    spaces: tuple[SpaceRef, ...]
    reports: tuple[dict, ...]

    def manifest(self, day: int) -> dict:
        return json.loads((self.settings.space_dir(self.spaces[day].space_id) / "manifest.json").read_text())

    def items(self, day: int):
        return load_item_space(self.settings, self.spaces[day].item_space_id)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, fresh_mlflow: Callable[[Settings], Settings]) -> Walked:
    world = two_tastes(tmp_path_factory.mktemp("frame"), num_users=160)
    settings = replace(fresh_mlflow(world.settings), item_space_every_days=2, frame_max_residual=0.5)
    for day in DAYS:
        for back in (0, 7):
            world.write_snapshots(day.shift(-back))
    feature_store.apply(settings)
    steps = [retrain(settings, day, cold=place == COLD) for place, day in enumerate(DAYS)]
    return Walked(settings, *zip(*steps, strict=True))


def retrain(settings: Settings, day: Partition, cold: bool) -> tuple[SpaceRef, dict]:
    """A cold one begins from other random axes too, as where nothing is left to go on from."""
    drawn = replace(settings, seed=99) if cold else settings
    space = train_space(drawn, day, config=replace(WARM, warm_start=not cold))
    gate_space(settings, day, space.space_id)
    report = promote_space(settings, day, Sources(required=()), force="the log is of one kind of day")
    assert report["pending"] == {}
    return space, report


def explained(told: np.ndarray, meant: np.ndarray) -> float:
    """Return the share of what was meant, about its mean, that is told."""
    return 1 - float(np.square(told - meant).sum() / np.square(meant - meant.mean(axis=0)).sum())


def test_every_space_is_carried_in_the_frame_of_the_first(walked: Walked) -> None:
    frame = f"frame-{walked.spaces[0].space_id}"
    assert [(r["frame"]["frame_id"], r["frame"]["carried"]) for r in walked.reports] == [(frame, True)] * len(DAYS)


def test_warm_starts_go_on_over_renewals_of_the_item_space(walked: Walked) -> None:
    spaces = [ref.item_space_id for ref in walked.spaces]
    assert [space.partition("-")[0] for space in spaces] == ["20260320", "20260320", "20260322", "20260322", "20260324"]
    assert {walked.items(day).basis for day in range(len(DAYS))} == {spaces[0]}
    assert [walked.manifest(day)["warm_started"] for day in range(len(DAYS))] == [False, True, False, True, True]


def test_renewed_items_lie_where_the_older_ones_lay(walked: Walked) -> None:
    old, new = walked.items(0), walked.items(4)
    assert new.item_ids == old.item_ids
    assert explained(new.content, old.content) > 0.99
    assert explained(new.collaborative, old.collaborative) > 0.5


@pytest.mark.parametrize("day", [1, 2, 4])
def test_what_is_looked_up_in_the_frame_is_what_the_first_encoder_would_say(walked: Walked, day: int) -> None:
    """Day 2 begins cold: without the map its vectors say nothing that the first day's reader understands."""
    settings, first = walked.settings, UserSpace.load(walked.settings, walked.spaces[0].space_id)
    ensure_snapshot(settings, DAYS[day], first.ref.item_space_id)
    rows = read_snapshot(settings, DAYS[day], first.ref.item_space_id)
    meant, (told, raw) = first.encode(rows), framed_and_raw(walked, day, list(rows["user_id"]))
    assert explained(told, meant) > 0.6
    if day == COLD:
        assert explained(raw, meant) < 0.2


def framed_and_raw(walked: Walked, day: int, users: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return what a day's lookup answered; after the last two days only the snapshot's own map is left to tell."""
    settings, space_id = walked.settings, walked.spaces[day].space_id
    frame = Frame.load(settings, f"frame-{walked.spaces[0].space_id}")
    if day == len(DAYS) - 1:
        store = EmbeddingStore(settings.published_dir)
        return store.lookup(users, frame=frame.frame_id).vectors, store.lookup(users).vectors
    space = UserSpace.load(settings, space_id)
    ensure_snapshot(settings, DAYS[day], space.ref.item_space_id)
    raw = space.encode(read_snapshot(settings, DAYS[day], space.ref.item_space_id))
    return frame.map_of(space_id).apply(raw), raw


def test_feast_and_the_items_answer_in_the_frame_too(walked: Walked) -> None:
    settings, frame = walked.settings, f"frame-{walked.spaces[0].space_id}"
    store = EmbeddingStore(settings.published_dir)
    rows = [{"user_id": user, "space_id": frame} for user in ("u000", "u001")]
    online = feature_store.read_online(settings, "matching_v1", rows)
    framed = store.lookup(["u000", "u001"], frame=frame)
    np.testing.assert_array_equal(np.float32(online["vector"].tolist()), framed.vectors)
    np.testing.assert_array_equal(store.lookup_items(frame).vectors, walked.items(4).vectors())


def test_each_step_has_its_page_and_its_residual_on_held_out_anchors(walked: Walked) -> None:
    steps = [gate for gate in Ledger(walked.settings).gates() if gate.subject.startswith("frame ")]
    assert len(steps) == len(DAYS), "that of the first says that it keeps its own axes"
    assert all((walked.settings.home / step.report).exists() for step in steps)
    about = EmbeddingStore(walked.settings.published_dir).snapshot.manifest["frame"]
    assert 0 < about["residual"] < 0.5
    assert about["num_learning"] + about["num_judging"] == 160
