"""Train the denoising autoencoder from principal components: direct index batches, early stopping, the same twice.

Shape legend: U users, B users of a batch, F input columns, K blocks.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from training.arrays import Floats
from training.data.input_layout import InputLayout
from training.losses.reconstruction import block_losses, reconstruction_loss
from training.representation.autoencoder import Autoencoder, AutoencoderConfig
from training.representation.corruption import Corruption, CorruptionConfig
from training.reproducible import deterministic

logger = logging.getLogger(__name__)
MIN_EPOCHS = 3
MAX_JUDGED_ROWS = 16_384
"""Held-out rows that a validation loss is the mean of, at most."""
_ROWS_AT_ONCE = 8192
_NO_VARIANCE = 1e-10
"""Share of the largest variance below which an axis is rounding."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderTrainingConfig:
    """How long and how fast the autoencoder learns.

    Attributes:
        model: Layer sizes.
        corruption: The damage that it learns to undo.
        block_weights: Weight of a block in the loss, by name; 1 where unnamed.
        learning_rate: Adam's, decayed to a tenth by a cosine over the epochs.
        batch_size: Users per step.
        max_epochs: Passes over the training users at most.
        max_steps: Steps at most; large data makes fewer passes, at least `MIN_EPOCHS`, of which each takes no more rows
            than the steps allow, drawn anew.
        patience: Epochs without a better validation loss before stopping.
        validation_share: Share of users held out for early stopping.
    """

    model: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)
    block_weights: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float = 1e-3
    batch_size: int = 256
    max_epochs: int = 40
    max_steps: int = 1000
    patience: int = 8
    validation_share: float = 0.1


@dataclass(frozen=True)
class TrainedAutoencoder:
    """The best weights, in eval mode, and the curves that led there (one value per epoch)."""

    model: Autoencoder
    curves: dict[str, list[float]]
    best_epoch: int
    warm_started: bool


@dataclass(frozen=True)
class UserInputs:
    """Model inputs as tensors.

    Attributes:
        x_UF: float32 [U, F], scaled.
        observed_UK: bool [U, K], False where a user's block is absent and not to be learned from.
    """

    x_UF: torch.Tensor
    observed_UK: torch.Tensor

    def take(self, rows: torch.Tensor) -> UserInputs:
        """Return the rows of one batch."""
        return UserInputs(self.x_UF[rows], self.observed_UK[rows])


def train_autoencoder(
    x_UF: Floats,
    observed_UK: npt.NDArray[np.bool_],
    layout: InputLayout,
    config: AutoencoderTrainingConfig,
    seed: int,
    validation_U: npt.NDArray[np.bool_] | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
) -> TrainedAutoencoder:
    """Return the autoencoder with the least validation loss; same inputs and seed give the same weights.

    Args:
        x_UF: Scaled inputs, one row per user (or per user and snapshot).
        observed_UK: Which blocks of which row are there.
        layout: Columns of the blocks.
        config: Sizes and pace.
        seed: Seed of weights, batches and damage.
        validation_U: Rows held out for early stopping; drawn by `validation_share` when None. Rows of one user
            should be on one side.
        start: Weights to start from instead; ignored, with a warning, where shapes differ.
    """
    with deterministic(seed):
        model = Autoencoder(layout.num_columns, config.model)
        warm = start is not None and _load_matching(model, start)
        inputs = UserInputs(torch.from_numpy(x_UF), torch.from_numpy(observed_UK))
        held_out = _draw_validation(len(x_UF), config.validation_share, seed) if validation_U is None else validation_U
        if not warm:
            axes_FZ, centre_F = principal_axes(x_UF if held_out.all() else x_UF[~held_out], config.model.latent)
            model.start_from(torch.from_numpy(_rotated(axes_FZ, seed)), torch.from_numpy(centre_F))
        trainer = _Trainer(model, layout, config, seed)
        curves, best_epoch = trainer.fit(inputs, torch.from_numpy(held_out))
    return TrainedAutoencoder(model.eval(), curves, best_epoch, warm)


class _Trainer:
    def __init__(self, model: Autoencoder, layout: InputLayout, config: AutoencoderTrainingConfig, seed: int) -> None:
        self.model, self.layout, self.config = model, layout, config
        self.generator = torch.Generator().manual_seed(seed)
        self.corrupt = Corruption(layout, config.corruption, self.generator)
        self.seed = seed
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)

    def fit(self, inputs: UserInputs, held_out_U: torch.Tensor) -> tuple[dict[str, list[float]], int]:
        train_rows, validation = torch.where(~held_out_U)[0], inputs.take(self._judged(held_out_U))
        epochs = self.num_epochs(len(train_rows))
        schedule = CosineAnnealingLR(self.optimizer, epochs, eta_min=self.config.learning_rate / 10)
        curves: dict[str, list[float]] = {"train_loss": [], "validation_loss": []}
        best_loss, best_epoch, best = float("inf"), 0, copy.deepcopy(self.model.state_dict())
        for epoch in range(epochs):
            curves["train_loss"].append(self._epoch(inputs, train_rows))
            schedule.step()
            loss = self._validate(validation)
            curves["validation_loss"].append(loss)
            if loss < best_loss:
                best_loss, best_epoch, best = loss, epoch, copy.deepcopy(self.model.state_dict())
            if epoch % 10 == 0:
                logger.info("autoencoder epoch %d: train %.4f validation %.4f", epoch, curves["train_loss"][-1], loss)
            if epoch - best_epoch >= self.config.patience:
                break
        self.model.load_state_dict(best)
        return curves, best_epoch

    def num_epochs(self, num_rows: int) -> int:
        """Return the passes that the limits on epochs and steps allow."""
        steps = -(-num_rows // self.config.batch_size)
        return max(min(self.config.max_epochs, self.config.max_steps // max(steps, 1)), MIN_EPOCHS)

    def _judged(self, held_out_U: torch.Tensor) -> torch.Tensor:
        """Return the rows that tell when to stop: those held out, at most as many as suffice; all where none are."""
        rows = torch.where(held_out_U if bool(held_out_U.any()) else ~held_out_U)[0]
        if len(rows) <= MAX_JUDGED_ROWS:
            return rows
        generator = torch.Generator().manual_seed(self.seed)
        return rows[torch.randperm(len(rows), generator=generator)[:MAX_JUDGED_ROWS].sort().values]

    def _epoch(self, inputs: UserInputs, train_rows: torch.Tensor) -> float:
        self.model.train()
        most = max(self.config.max_steps // MIN_EPOCHS, 1) * self.config.batch_size
        order = train_rows[torch.randperm(len(train_rows), generator=self.generator)[:most]]
        losses = [self._step(inputs.take(rows)) for rows in torch.split(order, self.config.batch_size)]
        return float(np.mean(losses))

    def _step(self, batch: UserInputs) -> float:
        x_hat_BF = self.model(self.corrupt(batch.x_UF))
        loss = self._loss(x_hat_BF, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def _validate(self, validation: UserInputs) -> float:
        """Return the loss on held-out users under the same damage at every epoch."""
        self.model.eval()
        damage = Corruption(self.layout, self.config.corruption, torch.Generator().manual_seed(self.seed + 1))
        return float(self._loss(self.model(damage(validation.x_UF)), validation))

    def _loss(self, x_hat_BF: torch.Tensor, batch: UserInputs) -> torch.Tensor:
        return reconstruction_loss(x_hat_BF, batch.x_UF, batch.observed_UK, self.layout, self.config.block_weights)


def principal_axes(x_UF: Floats, width: int) -> tuple[Floats, Floats]:
    """Return the leading principal axes, float32 [F, width], orthonormal, zero above the rank, and the mean [F]."""
    centre_F = x_UF.mean(axis=0, dtype=np.float64)
    scatter_FF = np.zeros((x_UF.shape[1],) * 2)
    for start in range(0, len(x_UF), _ROWS_AT_ONCE):
        centred = x_UF[start : start + _ROWS_AT_ONCE] - centre_F
        scatter_FF += centred.T @ centred
    values, vectors = np.linalg.eigh(scatter_FF)
    kept = vectors[:, ::-1][:, :width] * (values[::-1][:width] > _NO_VARIANCE * max(values[-1], _NO_VARIANCE))
    axes_FZ = np.zeros((x_UF.shape[1], width), np.float32)
    axes_FZ[:, : kept.shape[1]] = kept
    return axes_FZ, centre_F.astype(np.float32)


def _rotated(axes_FZ: Floats, seed: int) -> Floats:
    """Return the axes turned among themselves at random, so that every column of z carries about as much."""
    width = axes_FZ.shape[1]
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))
    return np.asarray(axes_FZ @ rotation, np.float32)


@torch.no_grad()
def measure_blocks(
    model: Autoencoder, x_UF: Floats, observed_UK: npt.NDArray[np.bool_], layout: InputLayout
) -> dict[str, float]:
    """Return the clean reconstruction loss of each block that somebody has."""
    x, observed = torch.from_numpy(x_UF), torch.from_numpy(observed_UK)
    losses = block_losses(model.eval()(x), x, observed, layout)
    return {
        block.name: float(loss)
        for block, loss, seen in zip(layout.blocks, losses, observed.any(dim=0), strict=True)
        if seen
    }


def _draw_validation(num_users: int, share: float, seed: int) -> npt.NDArray[np.bool_]:
    held_out = np.zeros(num_users, bool)
    chosen = np.random.default_rng(seed).permutation(num_users)[: int(num_users * share)]
    held_out[chosen] = True
    return held_out


def _load_matching(model: Autoencoder, start: Mapping[str, torch.Tensor]) -> bool:
    """Load `start` if every shape matches; the next space then begins where the live one is."""
    own = model.state_dict()
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in start.items()}:
        logger.warning("the previous encoder has other shapes; training starts from random weights")
        return False
    model.load_state_dict(dict(start))
    return True
