import numpy as np
import pytest
import torch

from training.contracts.errors import AttuneError
from training.representation import encoder_file
from training.representation.autoencoder import Autoencoder, AutoencoderConfig
from training.representation.encoder_file import export_encoder, open_encoder, run_encoder


@pytest.fixture
def model() -> Autoencoder:
    torch.manual_seed(3)
    network = Autoencoder(9, AutoencoderConfig(latent=4, dropout=0.5)).eval()
    torch.nn.init.normal_(network.encoder.linear.weight)
    return network


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 9)).astype(np.float32)


def test_the_file_computes_what_torch_computes(tmp_path, model):
    difference = export_encoder(model, tmp_path / "encoder.onnx", rows(50), tolerance=1e-5)
    with torch.no_grad():
        expected = model.encode(torch.from_numpy(rows(7))).numpy()
    assert difference <= 1e-5
    np.testing.assert_allclose(run_encoder(open_encoder(tmp_path / "encoder.onnx"), rows(7)), expected, atol=1e-5)


def test_batches_are_joined_and_no_users_give_no_rows(tmp_path, model, monkeypatch):
    export_encoder(model, tmp_path / "encoder.onnx", rows(3), tolerance=1e-5)
    session = open_encoder(tmp_path / "encoder.onnx")
    whole = run_encoder(session, rows(10))
    monkeypatch.setattr(encoder_file, "BATCH_SIZE", 4)
    np.testing.assert_allclose(run_encoder(session, rows(10)), whole, atol=1e-6)
    assert run_encoder(session, rows(0)).shape == (0, 4)


def test_equal_weights_give_equal_bytes(tmp_path, model):
    for name in ("a", "b"):
        export_encoder(model, tmp_path / name, rows(3), tolerance=1e-5)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_that_differs_is_refused(tmp_path, model):
    with pytest.raises(AttuneError, match="expected the ONNX encoder within -1 of torch, found"):
        export_encoder(model, tmp_path / "encoder.onnx", rows(3), tolerance=-1)


def test_not_a_number_is_refused(tmp_path, model):
    with torch.no_grad():
        model.encoder.layers[0].weight[0, 0] = float("nan")
    with pytest.raises(AttuneError, match="found nan"):
        export_encoder(model, tmp_path / "encoder.onnx", rows(3), tolerance=1e-4)
