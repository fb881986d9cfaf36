"""Fit scalers and autoencoder on training rows, and give the result its content-hashed name.

Shape legend: U rows, F input columns, Z latent columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from training.arrays import Floats
from training.contracts.partitions import Partition
from training.data.hashed_draw import hashed_draw
from training.representation.inputs import InputAssembler, InputConfig
from training.representation.item_space import ItemSpaceConfig
from training.representation.train import (
    AutoencoderTrainingConfig,
    TrainedAutoencoder,
    measure_blocks,
    train_autoencoder,
)
from training.reproducible import deterministic

ROWS_AT_ONCE = 32_768
"""Users whose inputs are held at once while they are encoded."""


@dataclass(frozen=True, kw_only=True)
class UserEncoderConfig:
    """Every choice of a retrain; facts learned from data are not in here.

    Attributes:
        item_space: How item vectors are learned when they are due.
        inputs: How x_u is scaled.
        training: The autoencoder and its pace.
        horizon_days: Label window of the main probe, and age of the second training snapshot.
        max_positives: Positives of the probe at most.
        parity_tolerance: Largest difference allowed between torch and ONNX.
        warm_start: Begin at the live encoder's weights where the item spaces' axes and the shapes match.
        seven_day: Whether to judge by a twin on an honest week, and beside the live space; a gate needs both.
    """

    item_space: ItemSpaceConfig = field(default_factory=ItemSpaceConfig)
    inputs: InputConfig = field(default_factory=InputConfig)
    training: AutoencoderTrainingConfig = field(default_factory=AutoencoderTrainingConfig)
    horizon_days: int = 7
    max_positives: int = 10_000
    parity_tolerance: float = 1e-4
    warm_start: bool = True
    seven_day: bool = True


@dataclass(frozen=True)
class FittedEncoder:
    """Scalers, weights, curves, and how well each block is reconstructed (and by its mean alone)."""

    assembler: InputAssembler
    trained: TrainedAutoencoder
    data_hash: str
    reconstruction: dict[str, float]
    mean_prediction: dict[str, float]

    def encode(self, frame: pd.DataFrame) -> Floats:
        """Return z, float32 [U, Z], by torch; what is stored and served comes from the ONNX file."""
        starts = range(0, max(len(frame), 1), ROWS_AT_ONCE)
        inputs = (self.assembler.transform(frame.iloc[start : start + ROWS_AT_ONCE])[0] for start in starts)
        with deterministic(0), torch.no_grad():
            parts = [self.trained.model.encode(torch.from_numpy(x_UF)).numpy() for x_UF in inputs]
        return np.vstack(parts)

    def content_hash(self, item_space_id: str, config: UserEncoderConfig) -> str:
        """Return 8 hex digits of everything that decides a vector: item space, scalers, weights, configuration."""
        digest = hashlib.sha256(item_space_id.encode())
        digest.update(json.dumps(asdict(config), sort_keys=True).encode())
        digest.update(json.dumps(self.assembler.layout.to_dict(), sort_keys=True).encode())
        for values in (self.assembler.centre, self.assembler.scale, self.assembler.prior_events):
            digest.update(values.tobytes())
        for name, value in sorted(self.trained.model.state_dict().items()):
            digest.update(name.encode() + value.numpy().tobytes())
        return digest.hexdigest()[:8]


def fit_encoder(
    frame: pd.DataFrame, config: UserEncoderConfig, seed: int, start: Mapping[str, torch.Tensor] | None = None
) -> FittedEncoder:
    """Return the encoder of training rows; a user's rows of all snapshots are on one side of the validation cut."""
    assembler = InputAssembler.fit(frame, config.inputs)
    x_UF, observed_UK = assembler.transform(frame)
    held_out = held_out_users(frame["user_id"], config.training.validation_share, seed)
    layout = assembler.layout
    trained = train_autoencoder(x_UF, observed_UK, layout, config.training, seed, held_out, start)
    judged = held_out if held_out.any() else ~held_out
    return FittedEncoder(
        assembler=assembler,
        trained=trained,
        data_hash=hash_rows(frame["user_id"], x_UF),
        reconstruction=measure_blocks(trained.model, x_UF[judged], observed_UK[judged], layout),
        mean_prediction=_mean_prediction(x_UF, observed_UK, judged, assembler),
    )


def hash_rows(user_ids: pd.Series, x_UF: Floats) -> str:
    """Return the digest of a training set: which users, and every value that the model saw."""
    digest = hashlib.sha256("\n".join(user_ids).encode())
    digest.update(np.ascontiguousarray(x_UF).tobytes())
    return digest.hexdigest()


def version_name(partition: Partition, content_hash: str) -> str:
    """Return YYYYMMDD-<hash>."""
    return f"{partition.day:%Y%m%d}-{content_hash}"


def held_out_users(user_ids: pd.Series, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which rows are those of users held out for early stopping, bool [U].

    By the hash of the id: an encoder that starts from yesterday's is not judged on users whom that one learned from.
    """
    users, position = np.unique(user_ids.to_numpy(str), return_inverse=True)
    return np.asarray((hashed_draw(users.tolist(), "early stopping", seed) < share)[position], np.bool_)


def _mean_prediction(
    x_UF: Floats, observed_UK: npt.NDArray[np.bool_], judged: npt.NDArray[np.bool_], assembler: InputAssembler
) -> dict[str, float]:
    """Return each block's loss when every user is predicted by the training users' mean (frequencies for one-hot)."""
    losses: dict[str, float] = {}
    for index, block in enumerate(assembler.layout.blocks):
        seen, fitted = judged & observed_UK[:, index], ~judged & observed_UK[:, index]
        if not seen.any() or not fitted.any():
            continue
        values, mean = x_UF[seen, block.columns], x_UF[fitted, block.columns].mean(axis=0)
        if block.kind == "one_hot":
            losses[block.name] = float(-np.log(np.maximum((values * mean).sum(axis=1), 1e-6)).mean())
        else:
            losses[block.name] = float(np.square(values - mean).mean())
    return losses
