"""From a vector back to the snapshot, the encoder, its gate, the features and the raw files."""

from __future__ import annotations

import hashlib
import socket
import time
from dataclasses import replace

import pytest

from serving_export.lineage import describe_origin, raw_files, trace
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.artefacts import Check, GateDecision
from training.contracts.errors import UnknownId
from training.storage import write_json

CHECK = Check(name="auc", passed=True, observed="0.7", allowed=">= 0.6")


def _prepare(world: World) -> str:
    space = world.train(DAY1)
    write_json(
        {"item_space_id": space.item_space_id, "data_hash": "d00d"},
        world.settings.space_dir(space.space_id) / "manifest.json",
    )
    for subject in (f"user_encoder {space.space_id}", "user_encoder 20260101-00000000"):
        world.ledger.record_gate(
            GateDecision(subject=subject, partition="2026-11-01", accepted=True, checks=(CHECK,), report="r.html")
        )
    for table, item_space_id in (("user_profile", None), ("user_taste", space.item_space_id)):
        folder = world.settings.features_dir(table, DAY1, item_space_id)
        folder.mkdir(parents=True)
        (folder / "part-0.parquet").write_bytes(table.encode())
    for day in ("2026-10-31", "2026-11-01", "2026-11-02"):
        raw = {"interactions": {"part-0.parquet": f"sha of {day}"}}
        write_json({"raw": raw}, world.settings.landed_dir("manifests") / f"dt={day}" / "manifest.json")
    return space.space_id


def test_the_origin_names_encoder_gate_features_and_raw_days(world: World) -> None:
    space_id = _prepare(world)
    origin = describe_origin(world.settings, space_id, DAY1)
    assert origin["encoder"]["data_hash"] == "d00d"
    assert [gate["subject"] for gate in origin["gates"]] == [f"user_encoder {space_id}"]
    taste = "features/user_taste/item_space=20261101-11111111/dt=2026-11-01/part-0.parquet"
    assert origin["features"] == {
        "features/user_profile/dt=2026-11-01/part-0.parquet": hashlib.sha256(b"user_profile").hexdigest(),
        taste: hashlib.sha256(b"user_taste").hexdigest(),
    }
    assert (origin["raw"]["first"], origin["raw"]["last"]) == ("2026-10-31", "2026-11-01")
    assert origin["raw"]["num_partitions"] == 2


def test_the_raw_fingerprint_changes_with_the_files_up_to_the_day_alone(world: World) -> None:
    space_id = _prepare(world)
    before = [describe_origin(world.settings, space_id, day)["raw"]["fingerprint"] for day in (DAY1, DAY2)]
    path = world.settings.landed_dir("manifests") / "dt=2026-11-02" / "manifest.json"
    write_json({"raw": {"interactions": {}}}, path)
    after = [describe_origin(world.settings, space_id, day)["raw"]["fingerprint"] for day in (DAY1, DAY2)]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_an_empty_home_has_an_empty_origin(world: World) -> None:
    origin = describe_origin(world.settings, "20261101-aaaaaaaa", DAY1)
    assert (origin["encoder"], origin["gates"], origin["features"]) == ({}, [], {})
    assert origin["raw"]["num_partitions"] == 0


@pytest.mark.integration
def test_a_served_vector_leads_back_to_its_raw_files(world: World) -> None:
    _prepare(world)
    space_id = world.promote(DAY1)[0]
    traced = trace(world.settings, "u05")
    _, z_UZ = world.encode(world.settings, space_id, DAY1)
    assert traced["vector_sha256"] == hashlib.sha256(z_UZ[5].tobytes()).hexdigest()
    assert traced["snapshot"]["space_id"] == space_id
    assert traced["encoder"]["data_hash"] == "d00d"
    assert [entry["partition"] for entry in traced["raw_files"]] == ["2026-10-31", "2026-11-01"]
    assert traced["raw_files"] == raw_files(world.settings, DAY1)
    assert traced["encoder_run"] == {}
    with pytest.raises(UnknownId):
        trace(world.settings, "nobody")


@pytest.mark.integration
def test_lineage_without_mlflow_leads_to_all_else_in_seconds(world: World) -> None:
    _prepare(world)
    world.promote(DAY1)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        uri = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        started = time.monotonic()
        traced = trace(replace(world.settings, mlflow_uri=uri), "u05")
    assert time.monotonic() - started < 20
    assert f"expected MLflow to answer at {uri}" in traced["encoder_run"]["unavailable"]
    assert traced["encoder"]["data_hash"] == "d00d"
