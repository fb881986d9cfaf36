"""The serving log is off unless asked for, bounded, and costs no answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from serving_export import serving_log
from serving_export.lookup import EmbeddingStore
from serving_export.serving_log import ServingLog, log_dir, read_answers
from tests.serving_export.world import DAY1, World
from training.contracts.partitions import Partition

TODAY = Partition(datetime.now(UTC).date())


def test_nothing_is_kept_unless_asked_for(world: World) -> None:
    world.promote(DAY1)
    ServingLog(world.settings).record(EmbeddingStore(world.settings.published_dir).lookup(["u01"]))
    assert not log_dir(world.settings).exists()


def test_what_was_answered_comes_back_bit_for_bit(world: World) -> None:
    world.promote(DAY1)
    settings = replace(world.settings, serving_log_share=1.0)
    found = EmbeddingStore(settings.published_dir).lookup(["u01", "u02"])
    ServingLog(settings).record(found)
    kept = list(read_answers(settings, TODAY))
    assert [(one.user_id, one.space_id, one.partition) for one in kept] == [
        (user, found.space_id, "2026-11-01") for user in ("u01", "u02")
    ]
    np.testing.assert_array_equal(np.stack([one.vector for one in kept]), found.vectors)


def test_a_process_keeps_a_bounded_number_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promote(DAY1)
    monkeypatch.setattr(serving_log, "LINES_A_DAY", 3)
    settings = replace(world.settings, serving_log_share=1.0)
    log, found = ServingLog(settings), EmbeddingStore(settings.published_dir).lookup(["u01", "u02"])
    for _ in range(4):
        log.record(found)
    assert len(list(read_answers(settings, TODAY))) == 3


def test_a_log_that_cannot_be_written_and_a_line_cut_short_cost_nothing(world: World) -> None:
    world.promote(DAY1)
    settings = replace(world.settings, serving_log_share=1.0)
    found = EmbeddingStore(settings.published_dir).lookup(["u01"])
    log_dir(settings).write_text("no folder")
    ServingLog(settings).record(found)
    log_dir(settings).unlink()
    ServingLog(settings).record(found)
    [path] = log_dir(settings).glob("*/*.jsonl")
    path.write_text(path.read_text() + '{"user_id": "u0')
    assert [one.user_id for one in read_answers(settings, TODAY)] == ["u01"]
