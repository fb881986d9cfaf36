"""Train real spaces on the small log of two tastes: through Feast, the autoencoder, ONNX, the ledger and MLflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.training.representation.feature_home import FeatureHome, two_tastes
from training.contracts.artefacts import SpaceRef
from training.contracts.partitions import Partition
from training.data import feature_store
from training.representation.autoencoder import AutoencoderConfig
from training.representation.fit import UserEncoderConfig
from training.representation.inputs import InputConfig
from training.representation.item_space import ItemSpaceConfig
from training.representation.train import AutoencoderTrainingConfig
from training.representation.user_encoder import train_space
from training.settings import Settings
from training.storage import write_json

LAST = Partition.parse("2026-03-24")
SMALL = UserEncoderConfig(
    item_space=ItemSpaceConfig(width=8),
    inputs=InputConfig(min_count=2),
    training=AutoencoderTrainingConfig(
        model=AutoencoderConfig(latent=12, hidden_shares=(0.5,)), batch_size=32, max_epochs=60, learning_rate=2e-3
    ),
)


@dataclass(frozen=True)
class TrainedHome:
    """A home with a space of the day before, published as live, and a candidate of the last day."""

    world: FeatureHome
    live: SpaceRef
    candidate: SpaceRef

    @property
    def settings(self) -> Settings:
        return self.world.settings


def prepared_home(home: Path, fresh_mlflow: Callable[[Settings], Settings]) -> FeatureHome:
    """Write the snapshots of the last two days and of their anchors, a week earlier."""
    world = two_tastes(home)
    fresh_mlflow(world.settings)
    for back in (8, 7, 2, 1, 0):
        world.write_snapshots(LAST.shift(-back))
    feature_store.apply(world.settings)
    return world


def trained_home(home: Path, fresh_mlflow: Callable[[Settings], Settings]) -> TrainedHome:
    world = prepared_home(home, fresh_mlflow)
    live = train_space(world.settings, LAST.shift(-1), config=SMALL)
    pointer = {"live": {"space_id": live.space_id}, "legacy": None}
    write_json(pointer, world.settings.published_dir / "pointer.json")
    return TrainedHome(world, live, train_space(world.settings, LAST, config=SMALL))
