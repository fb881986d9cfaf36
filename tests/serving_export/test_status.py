"""The status names what is served, what is on disk, and what the gates said."""

from __future__ import annotations

import json

from serving_export.promote import promote_space
from serving_export.refresh import refresh_embeddings
from serving_export.status import status, summarise
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from tests.training.ingest.raw_logs import DAYS, deliver, events
from training.contracts.artefacts import Check, GateDecision, ModelRef
from training.evaluation.gate import decide
from training.ingest.landing import land
from training.storage import write_json


def test_an_empty_home_has_a_status_too(world: World) -> None:
    values = status(world.settings)
    assert (values["live"], values["legacy"], values["candidate"], values["sequence"]) == (None, None, None, None)
    assert values["partitions"] == {"landed": [], "featured": [], "published": []}
    assert "live       none" in summarise(values)


def test_it_names_spaces_consumers_snapshots_partitions_and_gates(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    candidate = world.train(DAY3).space_id
    refresh_embeddings(world.settings, DAY3, world.sources)
    world.ledger.pin("team", first)
    check = Check(name="auc", passed=False, observed="0.5", allowed=">= 0.6")
    world.ledger.record_gate(
        GateDecision(subject="matching v9", partition="2026-11-03", accepted=False, checks=(check,), report="r.html")
    )
    for day in ("2026-11-01", "2026-11-02"):
        write_json({}, world.settings.landed_dir("manifests") / f"dt={day}" / "manifest.json")
    write_json({}, world.settings.home / "features" / "user_profile" / "dt=2026-11-01" / "part-0.parquet")
    values = status(world.settings)
    assert json.loads(json.dumps(values))["gates"][-1]["checks"][0]["name"] == "auc"
    assert (values["live"]["space_id"], values["live"]["partition"]) == (second, "2026-11-03")
    assert values["legacy"]["space_id"] == first
    assert values["candidate"]["space_id"] == candidate
    assert values["rollback_to"] == 1
    assert [space["state"] for space in values["spaces"]] == ["legacy", "live", "candidate"]
    matching = values["consumers"]["matching"]
    assert (matching["served"]["space_id"], matching["served"]["partition"]) == (second, "2026-11-03")
    assert [model["state"] for model in matching["models"]] == ["legacy", "live", "candidate"]
    assert len(values["snapshots"]) == 4
    assert values["partitions"] == {
        "landed": ["2026-11-01", "2026-11-02"],
        "featured": ["2026-11-01"],
        "published": ["2026-11-01", "2026-11-02", "2026-11-03"],
    }
    text = summarise(values)
    assert f"live       {second} of 2026-11-03" in text
    assert f"pinned     team to {first}" in text
    assert "gate       2026-11-03 matching v9: refused (auc)" in text


def test_a_consumer_with_nothing_to_learn_from_says_what_the_log_lacks(world: World) -> None:
    space = world.train(DAY1)
    ref = ModelRef(consumer="cold_start", version="none", space_id=space.space_id, partition=str(DAY1))
    world.ledger.record_model(ref, "not_applicable")
    world.ledger.record_gate(decide(world.settings, "cold_start none", DAY1, [], "no user has an attribute"))
    values = status(world.settings)
    assert values["consumers"]["cold_start"]["not_applicable"] == "no user has an attribute"
    assert values["consumers"]["matching"]["not_applicable"] == ""
    lines = summarise(values).splitlines()
    assert "consumer   cold_start: not applicable: no user has an attribute" in lines
    assert "gate       2026-11-01 cold_start none: not applicable: no user has an attribute" in lines


def test_late_files_are_listed_with_the_command_that_takes_them_in(world: World) -> None:
    deliver(world.settings, DAYS[0], events(DAYS[0], 5))
    land(world.settings, DAYS[0])
    assert status(world.settings)["late"] == []
    deliver(world.settings, DAYS[0], events(DAYS[0], 1, prefix="late"), file="part-1.parquet")
    command = f"python -m training.jobs land_partition --partition {DAYS[0]}"
    values = status(world.settings)
    assert values["late"] == [
        {"partition": str(DAYS[0]), "reason": "has other raw files than landed", "command": command}
    ]
    assert f"late       {DAYS[0]} has other raw files than landed; run {command}" in summarise(values)


def test_a_raw_folder_that_is_no_day_hides_nothing_of_what_is_served(world: World) -> None:
    [space_id] = world.promote(DAY1)
    deliver(world.settings, DAYS[0], events(DAYS[0], 5))
    land(world.settings, DAYS[0])
    deliver(world.settings, "dt=20251107", events(DAYS[0], 1))
    values = status(world.settings)
    assert values["live"]["space_id"] == space_id
    assert "found dt=20251107" in values["late"][0]["reason"]
    assert "run " not in summarise(values).partition("found dt=20251107")[2].partition("\n")[0]


def test_the_frame_and_who_answers_for_it(world: World) -> None:
    [first] = world.promote(DAY1)
    values = status(world.settings)
    assert values["frame"] == {"in_force": f"frame-{first}", "served_by": {f"frame-{first}": first}}
    assert f"frame      frame-{first}: carries the live space" in summarise(values)
    second = world.train(DAY2).space_id
    world.unfit.add(second)
    promote_space(world.settings, DAY2, world.sources)
    assert f"frame-{first}: answered by {first}; the live {second} was refused" in summarise(status(world.settings))
