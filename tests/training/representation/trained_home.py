"""Train real spaces on the small log of two tastes: through Feast, the autoencoder, ONNX, the ledger and MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.training.representation.feature_home import FeatureHome, two_tastes
from training.contracts.artefacts import SpaceRef
from training.contracts.columns import INTERACTIONS
from training.contracts.partitions import Partition
from training.data import feature_store
from training.representation.autoencoder import AutoencoderConfig
from training.representation.fit import UserEncoderConfig
from training.representation.inputs import InputConfig
from training.representation.item_space import ItemSpaceConfig
from training.representation.train import AutoencoderTrainingConfig
from training.representation.user_encoder import train_space
from training.settings import Settings
from training.storage import PART, write_json, write_parquet

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


def copied_home(trained: TrainedHome, folder: Path) -> Settings:
    shutil.copytree(trained.settings.home, folder / "home")
    return Settings.from_env({"ATTUNE_HOME": str(folder / "home")})


def add_late_event(settings: Settings, user_id: str, item_id: str, days_late: int = 10) -> None:
    """Let an event of some days ago arrive on the last day."""
    path = settings.features_dir(INTERACTIONS.name, LAST) / PART
    table = pq.read_table(path, partitioning=None)
    row = table.slice(0, 1).to_pylist()[0] | {
        "event_id": "late",
        "user_id": user_id,
        "item_id": item_id,
        "occurred_at": LAST.shift(-days_late).starts_at,
    }
    rows = pa.Table.from_pylist([row, *table.to_pylist()], schema=table.schema)
    write_parquet(rows, path)
