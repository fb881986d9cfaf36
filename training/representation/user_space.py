"""Load a trained space and encode users with it; vectors of another space never get in or out.

Shape legend: U users, F input columns, Z latent columns.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from training.arrays import Floats
from training.contracts.artefacts import SpaceRef
from training.contracts.columns import POOLED_FEATURES, USER_EMBEDDING
from training.contracts.errors import MissingArtefact, SpaceMismatch
from training.contracts.partitions import Partition
from training.data.derived_lock import reads_derived
from training.data.feature_store import read_user_features
from training.data.vector_columns import as_lists
from training.representation.encoder_file import BATCH_SIZE, open_encoder, run_encoder
from training.representation.inputs import FEATURE_SERVICE, InputAssembler
from training.representation.taste import pool
from training.settings import Settings
from training.storage import PART, arrow_schema, write_parquet

logger = logging.getLogger(__name__)
_SOURCES = b"attune.sources"
ROWS_AT_ONCE = 4 * BATCH_SIZE
"""Users whose inputs are held at once: whole batches of the encoder, so that blocks change no bit."""


@dataclass(frozen=True)
class UserSpace:
    """A trained encoder with its scalers and the item space that it reads.

    Attributes:
        ref: Its id, item space and partition.
        assembler: Turns feature rows into inputs.
        session: onnxruntime session of the encoder.
        folder: Where the space lies.
    """

    ref: SpaceRef
    assembler: InputAssembler
    session: Any
    folder: Path

    @classmethod
    def load(cls, settings: Settings, space_id: str) -> UserSpace:
        """Return a stored space.

        Raises:
            MissingArtefact: No such space in this home.
        """
        folder = settings.space_dir(space_id)
        if not (folder / "manifest.json").exists():
            raise MissingArtefact(f"expected space {space_id} at {folder}, found none; run train_space first")
        manifest = json.loads((folder / "manifest.json").read_text())
        ref = SpaceRef(**{name: manifest[name] for name in ("space_id", "item_space_id", "partition")})
        return cls(ref, InputAssembler.load(folder), open_encoder(folder / "encoder.onnx"), folder)

    @property
    def width(self) -> int:
        """Z, the width of a user vector."""
        return int(self.session.get_outputs()[0].shape[1])

    def encode(self, frame: pd.DataFrame) -> Floats:
        """Return z, float32 [U, Z], of feature rows; a user of whom nothing is known gets a vector too.

        Args:
            frame: Rows of the feature service `FEATURE_SERVICE`, pooled in this space's item space.

        Raises:
            SpaceMismatch: A row was pooled in another item space.
        """
        for found in frame["item_space_id"].dropna().unique() if "item_space_id" in frame else ():
            if found != self.ref.item_space_id:
                raise SpaceMismatch(
                    self.ref.item_space_id,
                    str(found),
                    f"input of {self.ref.space_id}",
                    "pool taste in the expected one",
                )
        starts = range(0, max(len(frame), 1), ROWS_AT_ONCE)
        blocks = (frame.iloc[start : start + ROWS_AT_ONCE] for start in starts)
        return np.vstack([run_encoder(self.session, self.assembler.transform(block)[0]) for block in blocks])


@reads_derived
def ensure_embeddings(settings: Settings, space_id: str, partition: Partition) -> Path:
    """Return the file of every known user's vector as of a partition, encoded where it is missing or out of date.

    Taste and onboarding are pooled first where the space's item space lacks one of them. The stored file names the
    digest of the features that it was encoded from, and is made anew when they have changed.

    Raises:
        MissingArtefact: The space, or the partition's features, are not there.
    """
    space = UserSpace.load(settings, space_id)
    item_space_id = space.ref.item_space_id
    path = settings.embeddings_dir(space_id, partition) / PART
    if not all((settings.features_dir(table, partition, item_space_id) / PART).exists() for table in POOLED_FEATURES):
        pool(settings, partition, item_space_id)
    sources = _digest(_source_files(settings, partition, item_space_id))
    if not _is_from(path, sources):
        frame = read_user_features(settings, partition, FEATURE_SERVICE, item_space_id)
        frame = frame.assign(item_space_id=item_space_id).sort_values("user_id")
        write_embeddings(path, space_id, partition, list(frame["user_id"]), space.encode(frame), sources)
        logger.info("encoded %d users of %s in space %s", len(frame), partition, space_id)
    return path


@reads_derived
def read_embeddings(settings: Settings, space_id: str, partition: Partition) -> tuple[list[str], Floats]:
    """Return every known user's id (sorted) and vector, float32 [U, Z], as stored of a partition; nothing is encoded.

    Raises:
        MissingArtefact: The space, the vectors or the features that they were encoded from are not there, or the
            features have changed since; the message names the job to run.
    """
    item_space_id = UserSpace.load(settings, space_id).ref.item_space_id
    path = settings.embeddings_dir(space_id, partition) / PART
    run = f"run encode_partition for {partition} with space_id {space_id}"
    sources = _source_files(settings, partition, item_space_id)
    for file in (path, *sources):
        if not file.exists():
            raise MissingArtefact(f"expected vectors of {space_id} and their features, found none at {file}; {run}")
    if not _is_from(path, _digest(sources)):
        raise MissingArtefact(f"expected vectors of the features as they are, found those of others at {path}; {run}")
    return read_embedding_file(path)


def write_embeddings(
    path: Path, space_id: str, partition: Partition, user_ids: list[str], z_UZ: Floats, sources: bytes
) -> None:
    """Write vectors of one space and partition, sorted as given."""
    columns = {
        "user_id": pa.array(user_ids, pa.string()),
        "space_id": pa.array([space_id] * len(user_ids), pa.string()),
        "event_timestamp": pa.array([partition.as_of] * len(user_ids), pa.timestamp("us", tz="UTC")),
        "vector": as_lists(z_UZ),
    }
    schema = arrow_schema(USER_EMBEDDING).with_metadata({_SOURCES: sources})
    write_parquet(pa.table(columns, schema=schema), path)


def read_embedding_file(path: Path) -> tuple[list[str], Floats]:
    """Return the ids and vectors, float32 [U, Z], of one embedding file."""
    table = pq.read_table(path, columns=["user_id", "vector"], partitioning=None)
    vectors = table["vector"].combine_chunks()
    flat = np.asarray(vectors.flatten(), np.float32)
    return table["user_id"].to_pylist(), flat.reshape(len(table), -1 if len(flat) else 0)


def _source_files(settings: Settings, partition: Partition, item_space_id: str) -> list[Path]:
    """Return the snapshots that vectors are encoded from, in the order of their digest."""
    built = [settings.features_dir(table, partition) for table in ("user_profile", "user_activity")]
    pooled = [settings.features_dir(table, partition, item_space_id) for table in POOLED_FEATURES]
    return [folder / PART for folder in (*built, *pooled)]


def _digest(files: Iterable[Path]) -> bytes:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest().encode()


def _is_from(path: Path, sources: bytes) -> bool:
    """Return whether there are vectors, encoded from these features."""
    return path.exists() and (pq.read_schema(path).metadata or {}).get(_SOURCES) == sources
