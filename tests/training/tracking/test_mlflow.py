import contextlib
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.tracking.open_tracking import count_experiments
from training.representation.autoencoder import Autoencoder, AutoencoderConfig
from training.representation.encoder_file import export_encoder
from training.settings import Settings
from training.tracking import mlflow as tracking
from training.tracking.mlflow import RunRecord, aliases, delete_versions, flatten, log_run, set_alias, tracking_client
from training.tracking.pictures import draw_curves

pytestmark = pytest.mark.integration


def test_flatten_joins_keys_and_keeps_empty_mappings():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": {}}) == {"a.b": 1, "a.c.d": 2, "e": {}}


@pytest.fixture(scope="module")
def home(tmp_path_factory, fresh_mlflow) -> Settings:
    return fresh_mlflow(Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("tracking"))}))


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> RunRecord:
    folder: Path = tmp_path_factory.mktemp("files")
    model, example = Autoencoder(5, AutoencoderConfig(latent=2)).eval(), np.ones((3, 5), np.float32)
    torch.manual_seed(1)
    export_encoder(model, folder / "encoder.onnx", example, tolerance=1e-4)
    draw_curves({"loss": [2.0, 1.0]}, "Loss", folder / "curves.png")
    return RunRecord(
        model_name="user_encoder",
        run_name="20260101-aaaaaaaa",
        params={"training": {"epochs": 3}, "data_hash": "ff"},
        metrics={"auc": 0.7},
        curves={"loss": [2.0, 1.0]},
        tags={"space_id": "20260101-aaaaaaaa", "partition": "2026-01-01"},
        files=folder,
        onnx_path=folder / "encoder.onnx",
        example=example,
    )


@pytest.fixture(scope="module")
def logged(home, record):
    return log_run(home, record)


def test_parameters_figures_and_curves_are_kept(home, logged):
    with tracking_client(home) as client:
        run = client.get_run(logged.run_id)
        assert run.info.status == "FINISHED"
        assert run.data.params == {"training.epochs": "3", "data_hash": "ff"}
        assert run.data.metrics["auc"] == 0.7
        assert [point.value for point in client.get_metric_history(logged.run_id, "loss")] == [2.0, 1.0]
        assert run.data.tags["partition"] == "2026-01-01"


def test_pictures_lie_under_the_home(home, logged):
    with tracking_client(home) as client:
        kept = {file.path for file in client.list_artifacts(logged.run_id, "files")}
    assert {"files/curves.png", "files/encoder.onnx"} <= kept
    assert list((home.home / "mlflow").rglob("curves.png"))


def test_the_registered_model_has_signature_and_tags_and_computes(home, logged, record):
    import mlflow

    with tracking_client(home) as client:
        version = client.get_model_version("user_encoder", logged.version)
        assert version.tags["space_id"] == "20260101-aaaaaaaa"
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(home.mlflow_uri)
        try:
            loaded = mlflow.pyfunc.load_model(f"models:/user_encoder/{logged.version}")
        finally:
            mlflow.set_tracking_uri(before)
    assert loaded.metadata.signature.inputs.inputs[0].shape == (-1, 5)
    assert loaded.predict(record.example)["z"].shape == (3, 2)


def test_the_same_run_name_is_registered_once(home, logged, record):
    assert log_run(home, record) == logged


def test_aliases_move_to_the_run_that_is_named(home, logged, record):
    second = log_run(home, replace(record, run_name="20260102-bbbbbbbb"))
    assert set_alias(home, "user_encoder", "champion", "20260101-aaaaaaaa") == logged.version
    assert set_alias(home, "user_encoder", "challenger", "20260102-bbbbbbbb") == second.version
    assert aliases(home, "user_encoder") == {"challenger": "20260102-bbbbbbbb", "champion": "20260101-aaaaaaaa"}
    set_alias(home, "user_encoder", "champion", "20260102-bbbbbbbb")
    assert aliases(home, "user_encoder")["champion"] == "20260102-bbbbbbbb"


def test_versions_go_with_their_files_unless_an_alias_names_them(home, logged, record):
    gone = log_run(home, replace(record, run_name="20260103-cccccccc"))
    set_alias(home, "user_encoder", "champion", "20260101-aaaaaaaa")
    artefacts = home.home / "mlflow" / "artifacts"
    before = {path for path in artefacts.rglob("*") if path.is_file()}
    with tracking_client(home) as client:
        run = client.get_run(gone.run_id)
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        (model,) = run.outputs.model_outputs
        model_folder = Path(client.get_logged_model(model.model_id).artifact_location.removeprefix("file://"))
    assert folder.is_dir()
    assert model_folder.is_dir()
    names = [("user_encoder", name) for name in ("20260103-cccccccc", "20260101-aaaaaaaa", "20990101-00000000")]
    assert delete_versions(home, names) == 1
    assert not folder.exists()
    assert not model_folder.exists()
    left = {path for path in artefacts.rglob("*") if path.is_file()}
    assert left < before, "the version that an alias names keeps its files"
    assert any("models" in path.parts for path in left)
    assert aliases(home, "user_encoder")["champion"] == "20260101-aaaaaaaa"


def test_an_unknown_model_or_run_has_no_alias(home, logged):
    assert aliases(home, "nobody") == {}
    assert set_alias(home, "user_encoder", "champion", "20990101-00000000") is None


@pytest.mark.slow
def test_two_processes_that_meet_a_fresh_database_both_go_on(tmp_path):
    home = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(count_experiments, [home, home]) == [1, 1]


@pytest.mark.parametrize("killed", [False, True])
def test_a_retry_takes_the_place_of_a_log_that_was_cut_short(home, logged, record, monkeypatch, killed):
    again = replace(record, run_name=f"20260102-{killed}")

    def refuse(*arguments):
        raise OSError("the disk is full")

    def runs():
        with tracking_client(home) as client:
            experiment = client.get_experiment_by_name(record.model_name).experiment_id
            found = client.search_runs([experiment], f"attributes.run_name = '{again.run_name}'")
        return [run.info.status for run in found]

    with monkeypatch.context() as patch:
        patch.setattr(tracking, "_register_any", refuse)
        if killed:
            patch.setattr(tracking, "_failed_unless_whole", lambda client, run_id: contextlib.nullcontext())
        with pytest.raises(OSError, match="the disk is full"):
            log_run(home, again)
    assert runs() == ["RUNNING" if killed else "FAILED"]
    assert log_run(home, again).version
    assert runs() == ["FINISHED"]
