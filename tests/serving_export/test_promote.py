"""A promotion flips everything at once, or refuses with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.promote import choose_models, promote_space, space_to_promote
from serving_export.refresh import refresh_embeddings
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.contracts.artefacts import Check, ModelRef, SpaceRef
from training.contracts.errors import ContractViolation, SpaceMismatch
from training.contracts.partitions import Partition
from training.evaluation.gate import decide
from training.registry.pointer import find_pointer, read_pointer


def test_the_first_promotion_makes_the_candidate_live(world: World) -> None:
    space = world.train(DAY1)
    result = promote_space(world.settings, DAY1, world.sources)
    assert result["promoted"]
    assert result["space_id"] == space.space_id
    pointer = read_pointer(world.settings.published_dir)
    assert (pointer.sequence, pointer.previous, pointer.legacy) == (1, None, None)
    assert world.ledger.space_state(space.space_id) == "live"
    assert world.ledger.models("matching", "live")[0].space_id == space.space_id
    assert world.validated == [(space.space_id, "2026-11-01")]
    assert world.materialised == ["2026-11-01"]


def test_the_space_before_becomes_legacy_and_the_one_before_that_retires(world: World) -> None:
    spaces = []
    for day in (DAY1, DAY2, DAY3):
        spaces.append(world.train(day))
        promote_space(world.settings, day, world.sources)
    pointer = read_pointer(world.settings.published_dir)
    assert pointer.live.space_id == spaces[2].space_id
    assert pointer.legacy is not None
    assert pointer.legacy.space_id == spaces[1].space_id
    assert [world.ledger.space_state(ref.space_id) for ref in spaces] == ["retired", "legacy", "live"]
    assert [row["kind"] for row in world.ledger.promotions()] == ["promote"] * 3


def test_promoting_again_changes_nothing(world: World) -> None:
    world.train(DAY1)
    promote_space(world.settings, DAY1, world.sources)
    before = read_pointer(world.settings.published_dir)
    result = promote_space(world.settings, DAY1, world.sources)
    assert result["promoted"]
    assert read_pointer(world.settings.published_dir) == before
    assert len(world.ledger.promotions()) == 1


def test_a_missing_consumer_is_named_and_nothing_moves(world: World) -> None:
    world.train(DAY1)
    promote_space(world.settings, DAY1, world.sources)
    space = world.train(DAY2)
    [model] = world.ledger.models("matching", space_id=space.space_id)
    world.ledger.record_model(model, "rejected")
    result = promote_space(world.settings, DAY2, world.sources)
    assert not result["promoted"]
    assert f"no accepted model of matching on space {space.space_id}" in result["reason"]
    assert result["space_id"] != space.space_id
    assert world.ledger.space_state(space.space_id) == "candidate"


def test_nothing_to_promote_is_a_value(world: World) -> None:
    result = promote_space(world.settings, DAY1, world.sources)
    assert not result["promoted"]
    assert "no candidate space of 2026-11-01" in result["reason"]
    assert find_pointer(world.settings.published_dir) is None


def test_an_older_candidate_never_takes_over(world: World) -> None:
    newer = world.train(DAY2)
    promote_space(world.settings, DAY2, world.sources)
    older = world.train(DAY1)
    result = promote_space(world.settings, DAY1, world.sources)
    assert not result["promoted"]
    assert "older" in result["reason"]
    assert read_pointer(world.settings.published_dir).live.space_id == newer.space_id
    assert older.space_id != newer.space_id


def test_a_space_starts_on_the_day_that_is_already_served(world: World) -> None:
    world.train(DAY1)
    promote_space(world.settings, DAY1, world.sources)
    candidate = world.train(DAY2)
    refresh_embeddings(world.settings, DAY3, world.sources)
    result = promote_space(world.settings, DAY2, world.sources)
    assert result["promoted"]
    assert (result["space_id"], result["partition"]) == (candidate.space_id, "2026-11-03")


def test_without_a_new_space_only_the_consumer_changes(world: World) -> None:
    space = world.train(DAY1)
    promote_space(world.settings, DAY1, world.sources)
    refresh_embeddings(world.settings, DAY2, world.sources)
    model = world.train_matching(space, DAY2)
    result = promote_space(world.settings, DAY2, world.sources)
    assert result["promoted"]
    assert result["versions"] == {"matching": model.version}
    pointer = read_pointer(world.settings.published_dir)
    assert (pointer.live.space_id, pointer.live.partition, pointer.legacy) == (space.space_id, "2026-11-02", None)
    states = world.ledger.model_states()
    assert sorted(states.values()) == ["live", "retired"]
    assert states["matching", model.version] == "live"


def test_a_pinned_consumer_stays_and_its_space_with_it(world: World) -> None:
    first = world.train(DAY1)
    promote_space(world.settings, DAY1, world.sources)
    world.ledger.pin("matching", first.space_id)
    for day in (DAY2, DAY3):
        world.train(day)
        assert promote_space(world.settings, day, world.sources)["promoted"]
    pointer = read_pointer(world.settings.published_dir)
    assert [entry.space_id for entry in pointer.pinned] == [first.space_id]
    assert "matching" not in pointer.live.consumers
    store = EmbeddingStore(world.settings.published_dir)
    assert store.model("matching")["space_id"] == first.space_id
    assert len(store.recommend("u01", 5).ids) == 5
    assert world.ledger.space_state(first.space_id) == "legacy"


def test_a_model_of_another_space_is_refused_by_both_names(world: World) -> None:
    world.train(DAY1)

    def confused(settings: Any, model: ModelRef, partition: Any) -> Any:
        return world.consume(settings, replace(model, space_id="20261031-99999999"), partition)

    with pytest.raises(SpaceMismatch, match=r"expected space 20261101-\w{8}, found 20261031-99999999"):
        promote_space(world.settings, DAY1, replace(world.sources, consume=confused))
    assert find_pointer(world.settings.published_dir) is None


def test_vectors_that_fail_their_suite_are_never_on_disk(world: World) -> None:
    world.train(DAY1)

    def refuse(_: Any) -> None:
        assert not list(world.settings.published_dir.glob("*/dt=*"))
        raise ContractViolation("expected norms near 1, found 0")

    world.before_validating = refuse
    with pytest.raises(ContractViolation, match="norms"):
        promote_space(world.settings, DAY1, world.sources)
    assert not list(world.settings.published_dir.glob("*/dt=*"))


def test_choose_models_takes_the_newest_and_skips_consumers_pinned_elsewhere(world: World) -> None:
    first, second = world.train(DAY1), world.train(DAY2)
    newer = world.train_matching(first, DAY2)
    assert choose_models(world.ledger, ("matching",), first.space_id) == ([newer], [])
    assert choose_models(world.ledger, ("matching", "cold_start"), first.space_id)[1] == ["cold_start"]
    world.ledger.pin("matching", first.space_id)
    assert choose_models(world.ledger, ("matching",), second.space_id) == ([], [])


def test_space_to_promote_prefers_the_days_candidate_then_what_is_live(world: World) -> None:
    assert space_to_promote(world.ledger, None, DAY1) is None
    first = world.train(DAY1)
    assert space_to_promote(world.ledger, None, DAY1) == first
    promote_space(world.settings, DAY1, world.sources)
    pointer = read_pointer(world.settings.published_dir)
    assert space_to_promote(world.ledger, pointer, DAY2) == first


def _without_cold_start(world: World, day: Partition, reason: str = "no user has an attribute") -> SpaceRef:
    """Train a space on which the newest word of `cold_start` is that there is nothing to learn."""
    space = world.train(day)
    ref = ModelRef(consumer="cold_start", version=f"none-{day}", space_id=space.space_id, partition=str(day))
    world.ledger.record_model(ref, "not_applicable")
    world.ledger.record_gate(decide(world.settings, f"cold_start none-{day}", day, [], reason))
    return space


def test_a_consumer_that_may_be_absent_is_gone_on_without(world: World) -> None:
    sources = replace(world.sources, required=("matching", "cold_start"))
    space = _without_cold_start(world, DAY1)
    result = promote_space(world.settings, DAY1, sources)
    assert (result["promoted"], result["space_id"]) == (True, space.space_id)
    assert list(result["versions"]) == ["matching"]
    assert refresh_embeddings(world.settings, DAY2, sources)["refreshed"] == {space.space_id: "2026-11-02"}
    assert EmbeddingStore(world.settings.published_dir).recommend("u20", 3).fallback
    assert world.ledger.model_states()["cold_start", "none-2026-11-01"] == "not_applicable"


def test_what_the_newest_log_says_goes_before_an_older_model(world: World) -> None:
    world.cold = True
    world.promote(DAY1)
    assert "cold_start" in read_pointer(world.settings.published_dir).live.consumers
    [space] = world.ledger.spaces("live")
    newer = ModelRef(consumer="cold_start", version="none", space_id=space.space_id, partition=str(DAY2))
    world.ledger.record_model(newer, "not_applicable")
    assert promote_space(world.settings, DAY2, world.sources)["promoted"]
    assert list(read_pointer(world.settings.published_dir).live.consumers) == ["matching"]
    again = replace(newer, version="again", partition=str(DAY3))
    world.ledger.record_model(again)
    assert [model.consumer for model in choose_models(world.ledger, ("cold_start",), space.space_id)[0]] == [
        "cold_start"
    ]


def test_a_refused_consumer_holds_the_space_back_and_says_why(world: World) -> None:
    sources = replace(world.sources, required=("matching", "cold_start"))
    space = world.train(DAY1)
    ref = ModelRef(consumer="cold_start", version="bad", space_id=space.space_id, partition=str(DAY1))
    world.ledger.record_model(ref, "rejected")
    check = Check(name="new users", passed=False, observed="0.1", allowed="0.2")
    world.ledger.record_gate(decide(world.settings, "cold_start bad", DAY1, [check]))
    result = promote_space(world.settings, DAY1, sources)
    assert not result["promoted"]
    assert "cold_start (refused: new users: 0.1, allowed 0.2)" in result["reason"]


def test_a_required_consumer_with_nothing_to_learn_from_holds_the_space_back(world: World) -> None:
    space = world.train(DAY1)
    ref = ModelRef(consumer="matching", version="none", space_id=space.space_id, partition=str(DAY2))
    world.ledger.record_model(ref, "not_applicable")
    world.ledger.record_gate(decide(world.settings, "matching none", DAY2, [], "no interaction"))
    result = promote_space(world.settings, DAY1, world.sources)
    assert not result["promoted"]
    assert "no accepted model of matching (not applicable: no interaction)" in result["reason"]


def test_a_space_that_its_gate_refused_is_said_so(world: World) -> None:
    space = world.train(DAY1)
    world.ledger.record_space(space, "rejected")
    check = Check(name="rank", passed=False, observed="0.0", allowed="0.1")
    world.ledger.record_gate(decide(world.settings, f"user_encoder {space.space_id}", DAY1, [check]))
    assert "refused: rank: 0.0, allowed 0.1" in promote_space(world.settings, DAY1, world.sources)["reason"]


@pytest.mark.parametrize("judged", [False, True])
def test_a_space_that_its_gate_did_not_accept_is_promoted_by_force_alone(world: World, judged: bool) -> None:
    [first] = world.promote(DAY1)
    space = SpaceRef(space_id="20261102-deadbeef", item_space_id="20261101-11111111", partition="2026-11-02")
    world.ledger.record_space(space)
    world.train_matching(space, DAY2)
    if judged:
        world.judge(space, accepted=False)
    refused = promote_space(world.settings, DAY2, world.sources)
    assert (refused["promoted"], refused["space_id"]) == (False, first)
    assert ("refused it" if judged else "no gate has judged space 20261102-deadbeef") in refused["reason"]
    forced = promote_space(world.settings, DAY2, world.sources, force="an outage is worse")
    assert forced["space_id"] == space.space_id
    assert read_pointer(world.settings.published_dir).reason == "an outage is worse"
    assert world.ledger.intents("done")[-1]["reason"] == "an outage is worse"
