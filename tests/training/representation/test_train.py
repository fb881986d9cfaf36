from dataclasses import replace

import numpy as np
import pytest
import torch

from training.data.input_layout import Block, InputLayout
from training.representation import train as autoencoder
from training.representation.autoencoder import AutoencoderConfig
from training.representation.corruption import CorruptionConfig
from training.representation.train import (
    AutoencoderTrainingConfig,
    UserInputs,
    measure_blocks,
    principal_axes,
    train_autoencoder,
)

LAYOUT = InputLayout(
    (Block("left", "vector", 0, 6, ("left",)), Block("right", "vector", 6, 12, ("right",))),
    (0.0,) * 12,
)
CONFIG = AutoencoderTrainingConfig(
    model=AutoencoderConfig(latent=3, dropout=0.0),
    batch_size=32,
    max_epochs=40,
    corruption=CorruptionConfig(noise=0.05),
)


def users(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Two blocks that say the same three things in different words."""
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(count, 3))
    x = np.hstack([hidden @ generator.normal(size=(3, 6)), hidden @ generator.normal(size=(3, 6))])
    return (x / x.std()).astype(np.float32), np.ones((count, 2), bool)


def weights(config: AutoencoderTrainingConfig = CONFIG, seed: int = 1, **options: object) -> dict[str, torch.Tensor]:
    return train_autoencoder(*users(), LAYOUT, config, seed, **options).model.state_dict()


def test_it_learns_what_the_blocks_share():
    x, observed = users()
    trained = train_autoencoder(x, observed, LAYOUT, CONFIG, seed=1)
    losses = measure_blocks(trained.model, x, observed, LAYOUT)
    assert max(losses.values()) < 0.5 * float(x.var())
    half = x.copy()
    half[:, 6:] = 0
    with torch.no_grad():
        guessed = trained.model(torch.from_numpy(half)).numpy()[:, 6:]
    assert np.square(guessed - x[:, 6:]).mean() < 0.6 * float(x.var()), "a missing block is told from the other"


def test_axes_are_orthonormal_and_span_what_the_rows_span():
    x, _ = users()
    axes, centre = principal_axes(x + 5, 4)
    np.testing.assert_allclose(axes[:, :3].T @ axes[:, :3], np.eye(3), atol=1e-5)
    assert not axes[:, 3].any(), "the rows have three directions"
    np.testing.assert_allclose(centre + (x + 5 - centre) @ axes @ axes.T, x + 5, atol=1e-4)


def test_untrained_it_loses_no_more_than_principal_components_do():
    """Without damage, the start alone rebuilds rows of three directions through three columns."""
    undamaged = CorruptionConfig(block_low=0.0, block_high=0.0, noise=0.0)
    idle = replace(CONFIG, max_epochs=1, learning_rate=0.0, corruption=undamaged)
    trained = train_autoencoder(*users(), LAYOUT, idle, seed=1)
    assert max(measure_blocks(trained.model, *users(), LAYOUT).values()) < 1e-6


def test_the_same_inputs_and_seed_give_the_same_weights():
    short = replace(CONFIG, max_epochs=6)
    first, second, other = weights(short), weights(short), weights(short, seed=2)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_curves_have_a_value_per_epoch_and_the_best_is_kept():
    trained = train_autoencoder(*users(), LAYOUT, CONFIG, seed=1)
    curve = trained.curves["validation_loss"]
    assert len(curve) == len(trained.curves["train_loss"]) <= CONFIG.max_epochs
    assert curve[trained.best_epoch] == min(curve)


def test_it_stops_when_validation_no_longer_improves():
    impatient = replace(CONFIG, patience=2, learning_rate=0.5, max_epochs=30)
    trained = train_autoencoder(*users(), LAYOUT, impatient, seed=1)
    assert len(trained.curves["train_loss"]) == trained.best_epoch + 3


def test_large_data_makes_fewer_passes():
    trained = train_autoencoder(*users(), LAYOUT, replace(CONFIG, max_steps=50), seed=1)
    assert len(trained.curves["train_loss"]) == 5


def test_the_largest_data_takes_no_more_steps_than_allowed_and_still_learns(monkeypatch):
    rows, observed = users(3000)
    taken = []
    take = UserInputs.take

    def counted(inputs, chosen):
        taken.append(chosen)
        return take(inputs, chosen)

    monkeypatch.setattr(UserInputs, "take", counted)
    trained = train_autoencoder(rows, observed, LAYOUT, replace(CONFIG, max_steps=60), seed=1)
    steps = [batch for batch in taken if len(batch) == CONFIG.batch_size]
    assert len(trained.curves["train_loss"]) == 3
    assert len(steps) == 60
    assert len(torch.cat(steps).unique()) > 60 * CONFIG.batch_size / 2, "an epoch's rows are drawn anew"
    losses = measure_blocks(trained.model, rows, observed, LAYOUT)
    assert max(losses.values()) < 0.5 * float(rows.var())


def test_of_many_held_out_rows_some_tell_when_to_stop(monkeypatch):
    monkeypatch.setattr(autoencoder, "MAX_JUDGED_ROWS", 10)
    rows, observed = users()
    rows[40:] *= 50
    held_out = np.arange(len(rows)) < 40
    few = train_autoencoder(rows, observed, LAYOUT, CONFIG, seed=1, validation_U=held_out)
    monkeypatch.setattr(autoencoder, "MAX_JUDGED_ROWS", 40)
    all_of_them = train_autoencoder(rows, observed, LAYOUT, CONFIG, seed=1, validation_U=held_out)
    assert few.curves["train_loss"][0] == all_of_them.curves["train_loss"][0]
    assert few.curves["validation_loss"][0] != all_of_them.curves["validation_loss"][0]
    assert few.curves["validation_loss"][0] < 10 * all_of_them.curves["validation_loss"][0], (
        "not rows fifty times larger"
    )


def test_a_warm_start_begins_where_the_other_ended():
    start = weights()
    trained = train_autoencoder(*users(), LAYOUT, replace(CONFIG, max_epochs=3), seed=9, start=start)
    cold = train_autoencoder(*users(), LAYOUT, replace(CONFIG, max_epochs=3), seed=9)
    assert trained.warm_started
    assert trained.curves["train_loss"][0] < 0.8 * cold.curves["train_loss"][0]
    idle = weights(replace(CONFIG, max_epochs=1, learning_rate=0.0), seed=9, start=start)
    assert all(torch.equal(idle[name], start[name]) for name in start)


def test_other_shapes_start_cold_with_a_warning(caplog):
    start = weights(replace(CONFIG, model=AutoencoderConfig(latent=4, dropout=0.0), max_epochs=2))
    trained = train_autoencoder(*users(), LAYOUT, replace(CONFIG, max_epochs=3), seed=9, start=start)
    assert not trained.warm_started
    assert "other shapes" in caplog.text


def test_held_out_users_are_not_learned_from():
    x, observed = users()
    held_out = np.arange(len(x)) < 50
    spoiled = x.copy()
    spoiled[held_out] = 0
    config = replace(CONFIG, max_epochs=3, patience=99)
    first = train_autoencoder(x, observed, LAYOUT, config, 1, held_out)
    second = train_autoencoder(spoiled, observed, LAYOUT, config, 1, held_out)
    assert first.curves["train_loss"] == second.curves["train_loss"]
    assert first.curves["validation_loss"] != second.curves["validation_loss"]


def test_an_absent_block_is_not_reported():
    x, observed = users(40)
    observed[:, 1] = False
    trained = train_autoencoder(x, observed, LAYOUT, replace(CONFIG, max_epochs=3), seed=1)
    assert set(measure_blocks(trained.model, x, observed, LAYOUT)) == {"left"}


@pytest.mark.parametrize("count", [1, 5])
def test_a_handful_of_users_trains_without_validation(count):
    trained = train_autoencoder(*users(count), LAYOUT, replace(CONFIG, max_epochs=3), seed=1)
    assert np.isfinite(trained.curves["validation_loss"]).all()
