import pytest
import torch

from training.representation.autoencoder import SELU_FLOOR, AlphaDropout, Autoencoder, AutoencoderConfig


def model(seed: int = 1, **config: object) -> Autoencoder:
    torch.manual_seed(seed)
    return Autoencoder(20, AutoencoderConfig(latent=6, **config))


def test_it_maps_there_and_back():
    x_BF = torch.randn(5, 20)
    assert model().encode(x_BF).shape == (5, 6)
    assert model()(x_BF).shape == (5, 20)


def test_hidden_layers_are_shares_of_the_input_but_never_below_the_latent():
    widths = [layer.out_features for layer in model().encoder.layers if isinstance(layer, torch.nn.Linear)]
    assert widths == [20, 10, 6]
    narrow = model(hidden_shares=(0.1,))
    assert [layer.out_features for layer in narrow.decoder.layers if isinstance(layer, torch.nn.Linear)] == [6, 20]


def test_the_same_seed_gives_the_same_weights():
    for left, right in zip(model(2).parameters(), model(2).parameters(), strict=True):
        assert torch.equal(left, right)


def test_at_inference_nothing_is_dropped():
    encoder, x_BF = model(dropout=0.5), torch.randn(5, 20)
    assert not torch.equal(encoder.train().encode(x_BF), encoder.encode(x_BF))
    assert torch.equal(encoder.eval().encode(x_BF), encoder.encode(x_BF))


def test_started_it_is_the_linear_map_along_its_axes():
    autoencoder, x_BF = model(), torch.randn(5, 20)
    axes_FZ = torch.linalg.qr(torch.randn(20, 6)).Q
    centre_F = torch.randn(20)
    autoencoder.start_from(axes_FZ, centre_F)
    z_BZ = (x_BF - centre_F) @ axes_FZ
    torch.testing.assert_close(autoencoder.encode(x_BF), z_BZ)
    torch.testing.assert_close(autoencoder(x_BF), centre_F + z_BZ @ axes_FZ.T)
    (autoencoder(x_BF) - 3).square().mean().backward()
    assert autoencoder.encoder.linear.weight.grad is None, "the map stays"
    assert autoencoder.decoder.layers[-1].weight.grad.any(), "the layers learn"


def test_selu_keeps_the_signal_at_unit_scale():
    """What LeCun initialisation is for: deep layers neither fade nor blow up."""
    encoder = Autoencoder(400, AutoencoderConfig(latent=400, hidden_shares=(1.0,) * 6)).eval()
    assert encoder.encode(torch.randn(200, 400)).std().item() == pytest.approx(1.0, abs=0.35)


def test_it_overfits_one_batch():
    torch.manual_seed(0)
    autoencoder, x_BF = model(dropout=0.0), torch.randn(6, 20)
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=1e-2)
    for _ in range(400):
        loss = (autoencoder(x_BF) - x_BF).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in autoencoder.parameters() if p.requires_grad)
        optimizer.step()
    assert loss.item() < 0.02


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_keeps_mean_and_variance_and_drops_as_torch_does(rate: float):
    torch.manual_seed(0)
    x_BF = torch.randn(300, 333)
    ours, torchs = AlphaDropout(rate), torch.nn.AlphaDropout(rate)
    found, expected = ours(x_BF), torchs(x_BF)
    assert found.mean().item() == pytest.approx(0.0, abs=0.02)
    assert found.std().item() == pytest.approx(1.0, abs=0.02)
    dropped, as_torch = (values == values.mode().values.mode().values for values in (found, expected))
    assert dropped.float().mean().item() == pytest.approx(rate, abs=0.01)
    assert found[dropped][0].item() == pytest.approx(expected[as_torch][0].item())
    kept = ~dropped & ~as_torch
    torch.testing.assert_close(found[kept], expected[kept])


def test_dropped_elements_carry_no_gradient_and_rows_differ():
    torch.manual_seed(0)
    x_BF = torch.full((50, 7), 2.0, requires_grad=True)
    out_BF = AlphaDropout(0.5)(x_BF)
    out_BF.sum().backward()
    dropped = out_BF < 0
    assert not x_BF.grad[dropped].any()
    assert (x_BF.grad[~dropped] > 0).all()
    assert len(dropped.unique(dim=0)) > 30


def test_nothing_is_dropped_at_rate_0_and_what_is_dropped_is_at_selus_floor():
    x_BF = torch.randn(3, 5)
    assert torch.equal(AlphaDropout(0.0)(x_BF), x_BF)
    assert torch.nn.functional.selu(torch.tensor(-50.0)).item() == pytest.approx(SELU_FLOOR)
