"""Measure the encoder's training and bulk encoding against the cores' matrix-multiply rate.

Shape legend: U users, F input columns, Z latent columns.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.bench.shared.timing import Timing, seconds_each
from training.data.input_layout import Block, InputLayout
from training.representation.autoencoder import Autoencoder
from training.representation.encoder_file import NUM_THREADS, export_encoder, open_encoder, run_encoder
from training.representation.train import AutoencoderTrainingConfig, train_autoencoder
from training.reproducible import NUM_THREADS as TRAINING_THREADS

NUM_COLUMNS = 512
PRODUCTS = 10
"""Matrix products per reading of the clock; one of the largest takes some ten milliseconds."""
FLOPS_PER_WEIGHT_TRAINED = 6
"""Forward, gradient of the input and gradient of the weight: a multiplication and an addition each."""
FLOPS_PER_WEIGHT_FIXED = 4
"""Forward and gradient of the input."""
FLOPS_PER_WEIGHT_READ = 2


def training_timings(num_users: int = 8192, epochs: int = 3, seed: int = 17) -> list[Timing]:
    """Return the lines of autoencoder training and bulk encoding, random inputs, one core setting for all."""
    x_UF = np.random.default_rng(seed).normal(size=(num_users, NUM_COLUMNS)).astype(np.float32)
    config = AutoencoderTrainingConfig(max_epochs=epochs, patience=epochs)
    model = Autoencoder(NUM_COLUMNS, config.model)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    fixed = sum(p.numel() for p in model.parameters()) - trained
    operations = FLOPS_PER_WEIGHT_TRAINED * trained + FLOPS_PER_WEIGHT_FIXED * fixed
    rate = matrix_multiply_rate(config.batch_size, TRAINING_THREADS)
    ours = _train_seconds(x_UF, config, seed)
    with torch_threads(TRAINING_THREADS):
        loader = _loader_seconds(x_UF, config, epochs)
    samples = num_users * epochs
    training = Timing(
        what=f"autoencoder {NUM_COLUMNS} columns to {config.model.latent} and back, batch {config.batch_size}",
        unit="users/s",
        ours=samples * (1 - config.validation_share) / ours,
        incumbents={"DataLoader loop": samples / loader},
        limits={"matrix-multiply rate": rate / operations},
    )
    return [training, _encoding(model, x_UF)]


def matrix_multiply_rate(batch_size: int, threads: int) -> float:
    """Return FLOP/s of a float32 product [batch, F] x [F, F]."""
    left, right = torch.randn(batch_size, NUM_COLUMNS), torch.randn(NUM_COLUMNS, NUM_COLUMNS)

    def multiply() -> None:
        for _ in range(PRODUCTS):
            torch.mm(left, right)

    with torch_threads(threads):
        return PRODUCTS * 2 * batch_size * NUM_COLUMNS**2 / seconds_each({"product": multiply})["product"]


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Give torch a number of threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train_seconds(x_UF: np.ndarray, config: AutoencoderTrainingConfig, seed: int) -> float:
    layout = InputLayout((Block("all", "dense", 0, NUM_COLUMNS, ("all",)),), (0.0,) * NUM_COLUMNS)
    observed = np.ones((len(x_UF), 1), bool)
    started = time.perf_counter()
    train_autoencoder(x_UF, observed, layout, config, seed)
    return time.perf_counter() - started


def _loader_seconds(x_UF: np.ndarray, config: AutoencoderTrainingConfig, epochs: int) -> float:
    """Return the seconds of the loop of most tutorials: a DataLoader of single rows, Adam, the same network."""
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(torch.from_numpy(x_UF)), batch_size=config.batch_size, shuffle=True)
    model = Autoencoder(x_UF.shape[1], config.model)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    started = time.perf_counter()
    for _ in range(epochs):
        for (clean,) in loader:
            optimizer.zero_grad()
            damaged = clean * (torch.rand_like(clean) > 0.2) + 0.1 * torch.randn_like(clean)
            loss = nn.functional.mse_loss(model(damaged), clean)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return time.perf_counter() - started


def _encoding(model: Autoencoder, x_UF: np.ndarray) -> Timing:
    weights = sum(p.numel() for p in model.encoder.parameters())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        export_encoder(model.eval(), path, x_UF[:64], tolerance=1e-3)
        session = open_encoder(path)
        with torch.no_grad(), torch_threads(NUM_THREADS):
            taken = seconds_each(
                {"ours": lambda: run_encoder(session, x_UF), "torch": lambda: model.encode(torch.from_numpy(x_UF))}
            )
    return Timing(
        what="bulk encoding through ONNX",
        unit="users/s",
        ours=len(x_UF) / taken["ours"],
        incumbents={"torch": len(x_UF) / taken["torch"]},
        limits={"matrix-multiply rate": matrix_multiply_rate(2048, NUM_THREADS) / (FLOPS_PER_WEIGHT_READ * weights)},
    )
