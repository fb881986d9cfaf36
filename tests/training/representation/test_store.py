import json

import pytest
import torch

from tests.training.representation.trained_home import SMALL
from training.representation.autoencoder import Autoencoder
from training.representation.inputs import InputAssembler
from training.tracking.mlflow import tracking_client

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(trained):
    return trained.settings.space_dir(trained.candidate.space_id)


def test_a_space_folder_is_complete(folder):
    expected = {
        "curves.png",
        "encoder.onnx",
        "encoder.pt",
        "evaluation.json",
        "inputs.json",
        "inputs.npz",
        "manifest.json",
        "seven_day.png",
    }
    assert {path.name for path in folder.iterdir()} == expected


def test_the_manifest_leads_back_to_everything(trained, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {name: manifest[name] for name in ("space_id", "item_space_id", "partition")} == trained.candidate.to_dict()
    assert manifest["width"] == 12
    assert manifest["onnx_parity"] <= SMALL.parity_tolerance
    assert manifest["config"]["training"]["model"]["latent"] == 12


def test_the_weights_can_be_started_from(folder):
    layout = InputAssembler.load(folder).layout
    model = Autoencoder(layout.num_columns, SMALL.training.model)
    model.load_state_dict(torch.load(folder / "encoder.pt", weights_only=True))


def test_mlflow_has_the_run_under_the_space_id(trained):
    with tracking_client(trained.settings) as client:
        versions = client.search_model_versions("name='user_encoder'")
        tags = {version.tags["space_id"]: version.tags["partition"] for version in versions}
        assert tags[trained.candidate.space_id] == trained.candidate.partition
        run = client.get_run(next(v.run_id for v in versions if v.tags["space_id"] == trained.candidate.space_id))
    assert run.data.params["training.model.latent"] == "12"
    assert len(run.data.params["data_hash"]) == 64
    assert run.data.metrics["seven_day.z.auc"] > 0.5
