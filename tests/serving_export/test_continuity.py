"""A snapshot that would leave people unserved is refused, unless somebody says why it may."""

from __future__ import annotations

import pytest

from serving_export.continuity import require_continuity
from serving_export.lookup import EmbeddingStore
from serving_export.packed import pack_ids
from serving_export.promote import promote_space
from serving_export.refresh import refresh_embeddings
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.contracts.errors import ContractViolation
from training.registry.pointer import read_pointer


def test_a_refresh_that_has_lost_users_is_refused_and_yesterday_goes_on(world: World) -> None:
    world.promote(DAY1)
    world.lost = 18
    refused = "expected the 40 users that are served since 2026-11-01, found 18 of them missing .first 'u00'. among 23"
    with pytest.raises(ContractViolation, match=refused):
        refresh_embeddings(world.settings, DAY2, world.sources)
    assert EmbeddingStore(world.settings.published_dir).lookup(["u00"]).partition == "2026-11-01"
    refresh_embeddings(world.settings, DAY2, world.sources, accept_loss="the tenant has left")
    assert EmbeddingStore(world.settings.published_dir).lookup(["u00", "u18"], "ignore").unknown == ("u00",)
    assert world.ledger.intents("done")[-1]["reason"] == "the tenant has left"


def test_a_promotion_that_has_lost_users_is_refused_likewise(world: World) -> None:
    [first] = world.promote(DAY1)
    world.lost = 18
    world.train(DAY2)
    with pytest.raises(ContractViolation, match="18 of them missing"):
        promote_space(world.settings, DAY2, world.sources)
    assert read_pointer(world.settings.published_dir).live.space_id == first
    assert promote_space(world.settings, DAY2, world.sources, force="the tenant has left")["promoted"]


def test_single_users_may_leave_and_others_come(world: World) -> None:
    world.promote(DAY1)
    world.lost = 1
    assert refresh_embeddings(world.settings, DAY3, world.sources)["refreshed"]
    live = read_pointer(world.settings.published_dir).live
    with pytest.raises(ContractViolation, match="found 41 of them missing"):
        require_continuity(world.settings, pack_ids(["new"]), live)
