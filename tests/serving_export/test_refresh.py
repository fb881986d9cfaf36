"""A refresh serves today's users with the spaces in force, and never goes back in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.refresh import models_of, refresh_embeddings, served_or_pinned
from tests.serving_export.world import DAY1, DAY2, DAY3, DAY4, World
from training.contracts.errors import ContractViolation
from training.registry.pointer import read_pointer


def test_before_the_first_promotion_it_says_so(world: World) -> None:
    result = refresh_embeddings(world.settings, DAY1, world.sources)
    assert result["refreshed"] == {}
    assert "no space is live" in result["reason"]


def test_live_and_legacy_are_published_in_one_move(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    result = refresh_embeddings(world.settings, DAY3, world.sources)
    assert result["refreshed"] == {second: "2026-11-03", first: "2026-11-03"}
    pointer = read_pointer(world.settings.published_dir)
    assert pointer.sequence == 3
    assert {entry.partition for entry in pointer.snapshots} == {"2026-11-03"}
    assert world.materialised[-1] == "2026-11-03"
    assert EmbeddingStore(world.settings.published_dir).lookup(["u41"]).space_id == second


def test_the_same_partition_again_changes_nothing(world: World) -> None:
    world.promote(DAY1)
    refresh_embeddings(world.settings, DAY2, world.sources)
    before = {p: p.read_bytes() for p in sorted(world.settings.published_dir.rglob("*")) if p.is_file()}
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert {p: p.read_bytes() for p in sorted(world.settings.published_dir.rglob("*")) if p.is_file()} == before


def test_an_older_partition_is_not_served_over_a_newer_one(world: World, caplog: pytest.LogCaptureFixture) -> None:
    [space_id] = world.promote(DAY2)
    caplog.set_level("INFO")
    result = refresh_embeddings(world.settings, DAY1, world.sources)
    assert result["refreshed"] == {}
    assert result["kept"] == {space_id: "2026-11-02"}
    assert read_pointer(world.settings.published_dir).live.partition == "2026-11-02"
    assert "already serves 2026-11-02; 2026-11-01 is not served" in caplog.text


def test_an_older_partition_writes_nothing_online_and_the_newest_again_does(world: World) -> None:
    world.promote(DAY1)
    refresh_embeddings(world.settings, DAY3, world.sources)
    world.materialised.clear()
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert world.materialised == []
    refresh_embeddings(world.settings, DAY3, world.sources)
    assert world.materialised == ["2026-11-03"]


def test_a_day_whose_online_write_failed_is_written_by_a_rerun(world: World) -> None:
    world.promote(DAY1)

    def refuse(*_: Any) -> None:
        raise ConnectionError("online store is down")

    with pytest.raises(ConnectionError):
        refresh_embeddings(world.settings, DAY2, replace(world.sources, materialise=refuse))
    assert read_pointer(world.settings.published_dir).live.partition == "2026-11-02"
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert world.materialised[-1] == "2026-11-02"


def test_a_legacy_space_that_lagged_is_written_online_on_its_own_day(world: World) -> None:
    first, _ = world.promote(DAY1, DAY4)
    result = refresh_embeddings(world.settings, DAY3, world.sources)
    assert result["refreshed"] == {first: "2026-11-03"}
    assert world.materialised[-1] == "2026-11-03"


def test_the_order_of_partitions_does_not_matter(world: World) -> None:
    world.promote(DAY1)
    for day in (DAY4, DAY2, DAY3):
        refresh_embeddings(world.settings, day, world.sources)
    assert read_pointer(world.settings.published_dir).live.partition == "2026-11-04"


def test_vectors_that_fail_their_suite_leave_yesterday_served(world: World) -> None:
    world.promote(DAY1)
    before = read_pointer(world.settings.published_dir)

    def refuse(_: Any) -> None:
        raise ContractViolation("expected finite vectors")

    world.before_validating = refuse
    with pytest.raises(ContractViolation):
        refresh_embeddings(world.settings, DAY2, world.sources)
    assert read_pointer(world.settings.published_dir) == before


@pytest.mark.parametrize("kind", [ContractViolation, OSError, RuntimeError])
def test_a_broken_legacy_space_does_not_keep_the_live_one_back(world: World, kind: type[Exception]) -> None:
    first, second = world.promote(DAY1, DAY2)

    def refuse_legacy(space: Any) -> None:
        if space.space_id == first:
            raise kind("expected features of the legacy space")

    world.before_validating = refuse_legacy
    with pytest.raises(kind, match="legacy space"):
        refresh_embeddings(world.settings, DAY3, world.sources)
    pointer = read_pointer(world.settings.published_dir)
    assert (pointer.live.space_id, pointer.live.partition) == (second, "2026-11-03")
    assert pointer.legacy is not None
    assert pointer.legacy.partition == "2026-11-01"


def test_a_space_pinned_after_it_retired_is_served_again(world: World) -> None:
    first, *_ = world.promote(DAY1, DAY2, DAY3)
    assert world.ledger.space_state(first) == "retired"
    world.ledger.pin("team", first)
    refresh_embeddings(world.settings, DAY4, world.sources)
    pointer = read_pointer(world.settings.published_dir)
    assert [(entry.space_id, entry.partition) for entry in pointer.pinned] == [(first, "2026-11-04")]
    world.ledger.unpin("team")
    refresh_embeddings(world.settings, DAY4, world.sources)
    assert read_pointer(world.settings.published_dir).pinned == ()
    assert world.ledger.space_state(first) == "retired"


def test_served_or_pinned_marks_a_space_without_a_snapshot(world: World) -> None:
    world.promote(DAY1)
    other = world.train(DAY2).space_id
    world.ledger.pin("team", other)
    entries = served_or_pinned(world.settings, world.ledger, read_pointer(world.settings.published_dir))
    assert [(entry.space_id, entry.path) for entry in entries[1:]] == [(other, "")]


def test_a_refresh_keeps_the_models_that_are_served(world: World) -> None:
    [space_id] = world.promote(DAY1)
    served = models_of(read_pointer(world.settings.published_dir).live)
    world.train_matching(world.ledger.space(space_id), DAY2)
    refresh_embeddings(world.settings, DAY2, world.sources)
    after = models_of(read_pointer(world.settings.published_dir).live)
    assert [model.version for model in after] == [model.version for model in served]


def test_a_refresh_names_the_champions_that_a_killed_promotion_did_not(world: World) -> None:
    world.promote(DAY1)
    world.announced.clear()
    refresh_embeddings(world.settings, DAY2, world.sources)
    assert world.announced[-1] == read_pointer(world.settings.published_dir).live.space_id
