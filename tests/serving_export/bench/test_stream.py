"""The stream's timings on a home as small as can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serving_export.bench import stream
from serving_export.lookup import EmbeddingStore
from training.settings import Settings


@pytest.mark.slow
def test_both_lines_are_measured_on_events_that_all_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = replace(stream.CONFIG.world, num_users=150, num_items=80, num_days=8)
    monkeypatch.setattr(stream.serve_simulated, "__defaults__", (replace(stream.CONFIG, world=world),))
    monkeypatch.setattr(stream, "RATE", 100)
    home = tmp_path / "home"
    visible, drained = stream.stream_timings(home, seed=17, seconds=1.0, backlog=500)
    assert (visible.unit, drained.unit) == ("ms", "events/s")
    assert 0 < visible.ours < 60_000
    assert visible.limits["one durable transaction"] > 0
    assert drained.ours > 0
    store = EmbeddingStore(Settings.from_env({"ATTUNE_HOME": str(home)}).published_dir)
    assert len(store.fresh_users()) > 100
    assert not list((home / "published" / "overlay").glob("probe*"))


@pytest.mark.parametrize(
    ("left", "rate", "said"),
    [
        (0, 1000.0, ""),
        (3, 1000.0, "; not sustained: 1,000 appended/s, 3 of 5 left over"),
        (0, 700.0, "; not sustained: 700 appended/s, 0 of 2 left over"),
    ],
)
def test_a_rate_that_was_not_sustained_is_said(left: int, rate: float, said: str) -> None:
    assert stream._Offered([0.01, 0.02], left, rate).shortfall() == said
