"""Nothing derived is removed while it is read, in this process or another."""

from __future__ import annotations

import inspect
import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tests.training.data.landed_logs import settings_at
from training.data.derived_lock import free_to_remove, reads_derived
from training.settings import Settings


@reads_derived
def removable_while_reading(settings: Settings, depth: int = 0) -> bool:
    """Return whether the files could be removed while this reads them; reads within reads `depth` times."""
    if depth:
        return removable_while_reading(settings, depth - 1)
    with free_to_remove(settings) as free:
        return free


@reads_derived
def fail(settings: Settings) -> None:
    raise ValueError(str(settings.home))


@reads_derived
def wait(settings: Settings, reading: Event, done: Event) -> None:
    reading.set()
    done.wait(60)


def removable(settings: Settings) -> bool:
    with free_to_remove(settings) as free:
        return free


def test_nothing_goes_while_something_reads_however_deep(tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "new")
    assert removable(settings)
    assert not removable_while_reading(settings)
    assert not removable_while_reading(settings, depth=2)
    assert removable(settings)


def test_a_reader_that_fails_lets_go(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    with pytest.raises(ValueError, match=str(tmp_path)):
        fail(settings)
    assert removable(settings)


def test_a_reader_in_another_process_counts_until_it_dies(tmp_path: Path) -> None:
    settings, context = settings_at(tmp_path), multiprocessing.get_context("fork")
    reading, done = context.Event(), context.Event()
    reader = context.Process(target=wait, args=(settings, reading, done))
    reader.start()
    assert reading.wait(60)
    assert not removable(settings)
    reader.kill()
    reader.join()
    assert removable(settings)


def test_homes_do_not_share_the_lock(tmp_path: Path) -> None:
    @reads_derived
    def removable_elsewhere(settings: Settings) -> bool:
        return removable(settings_at(tmp_path / "b"))

    assert removable_elsewhere(settings_at(tmp_path / "a"))


def test_a_wrapped_job_keeps_its_signature() -> None:
    assert list(inspect.signature(removable_while_reading).parameters) == ["settings", "depth"]
