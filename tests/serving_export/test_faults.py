"""Killed at any step of the file system or the ledger, the last good snapshot is served; running again completes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from serving_export.checksum import verify
from serving_export.lookup import EmbeddingStore
from serving_export.pointer_moves import rollback
from serving_export.promote import promote_space
from serving_export.refresh import refresh_embeddings
from serving_export.retention import list_snapshots
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.registry.pointer import Pointer, find_pointer
from training.settings import Settings

KILLED = 77
STEPS = ("rename", "replace", "mkdir", "fsync", "unlink", "rmdir")


def _run_and_die_at(step: int, work: Callable[[], Any]) -> bool:
    """Run `work` in a child that exits without a word before its n-th step; return whether it died."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _arm(step)
            work()
            status = 0
        finally:
            os._exit(status)
    _, raw = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(raw) in (0, KILLED)
    return os.waitstatus_to_exitcode(raw) == KILLED


def _arm(step: int) -> None:
    left = [step]

    def count(*_: Any, **__: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(KILLED)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            count()
            return function(*arguments, **options)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    sa.event.listen(sa.engine.Engine, "before_cursor_execute", count)


def _served(world: World, before: Pointer | None, after: set[str]) -> None:
    """What is served is whole, and is what was served before or what was to come."""
    pointer = find_pointer(world.settings.published_dir)
    if pointer is None:
        assert before is None
        return
    assert pointer == before or pointer.live.path in after
    for entry in pointer.snapshots:
        verify(world.settings.published_dir / entry.path)
    assert EmbeddingStore(world.settings.published_dir).lookup(["u00"]).space_id == pointer.live.space_id


def _kill_everywhere(make: Callable[[Path], World], tmp_path: Path, work: Callable[[World], Any]) -> int:
    make(tmp_path / "start")
    whole = _copy(tmp_path, "whole")
    work(whole)
    wanted = find_pointer(whole.settings.published_dir)
    assert wanted is not None
    step = 0
    while True:
        world = _copy(tmp_path, f"step{step}")
        before = find_pointer(world.settings.published_dir)
        died = _run_and_die_at(step, lambda world=world: work(world))  # type: ignore[misc]
        _served(world, before, {wanted.live.path})
        work(world)
        _same_as(world, whole)
        if not died:
            return step
        step += 7 if step > 40 else 1


def _same_as(world: World, whole: World) -> None:
    assert find_pointer(world.settings.published_dir) == find_pointer(whole.settings.published_dir)
    assert world.ledger.space_states() == whole.ledger.space_states()
    assert world.ledger.model_states() == whole.ledger.model_states()
    kinds = [row["kind"] for row in whole.ledger.promotions()]
    assert [row["kind"] for row in world.ledger.promotions()] == kinds
    for space_id in whole.ledger.space_states():
        assert list_snapshots(world.settings, space_id) == list_snapshots(whole.settings, space_id)
    assert not list(world.settings.published_dir.glob("**/.*.*.*"))


def _copy(folder: Path, name: str) -> World:
    shutil.copytree(folder / "start", folder / name)
    return World(Settings.from_env({"ATTUNE_HOME": str(folder / name)}))


def _world(folder: Path, *promoted: Any) -> World:
    world = World(Settings.from_env({"ATTUNE_HOME": str(folder)}))
    world.promote(*promoted)
    return world


@pytest.mark.slow
def test_killing_the_first_promotion_anywhere(tmp_path: Path) -> None:
    def make(folder: Path) -> World:
        world = _world(folder)
        world.train(DAY1)
        return world

    assert _kill_everywhere(make, tmp_path, lambda w: promote_space(w.settings, DAY1, w.sources)) > 20


@pytest.mark.slow
def test_killing_a_later_promotion_anywhere(tmp_path: Path) -> None:
    def make(folder: Path) -> World:
        world = _world(folder, DAY1, DAY2)
        world.train(DAY3)
        return world

    assert _kill_everywhere(make, tmp_path, lambda w: promote_space(w.settings, DAY3, w.sources)) > 20


@pytest.mark.slow
def test_killing_a_refresh_anywhere(tmp_path: Path) -> None:
    def make(folder: Path) -> World:
        return _world(folder, DAY1, DAY2)

    assert _kill_everywhere(make, tmp_path, lambda w: refresh_embeddings(w.settings, DAY3, w.sources)) > 20


@pytest.mark.slow
def test_killing_a_rollback_anywhere_leaves_one_of_the_two(tmp_path: Path) -> None:
    _world(tmp_path / "start", DAY1, DAY2)
    for step in range(60):
        world = _copy(tmp_path, str(step))
        first, second = world.ledger.spaces()
        died = _run_and_die_at(step, lambda world=world: rollback(world.settings))  # type: ignore[misc]
        pointer = find_pointer(world.settings.published_dir)
        assert pointer is not None
        assert pointer.live.space_id in (first.space_id, second.space_id)
        verify(world.settings.published_dir / pointer.live.path)
        refresh_embeddings(world.settings, DAY2, world.sources)
        assert world.ledger.space_state(pointer.live.space_id) == "live"
        if not died:
            assert pointer.live.space_id == first.space_id
            return
    raise AssertionError("a rollback takes fewer steps than this")
