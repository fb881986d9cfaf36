"""Freeze item vectors of two modalities under one id; taste is pooled in them and nothing else is.

The vectors are learned apart from the user encoder and then frozen: learned jointly, they could collapse
to a constant that is perfectly reconstructed (Fazelnia et al. 2025; the methods here are ours). A renewal is turned
onto an earlier item space before anything is pooled in it, so that what reads one goes on reading the other.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from training.arrays import Floats
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.data.feature_store import read_item_features
from training.data.interactions import codes, places_in, read_log, values_of
from training.registry.in_use import item_space_of, published_spaces
from training.representation.collaborative import CollaborativeConfig, IndexedLog, learn_collaborative
from training.representation.collaborative_choice import choose_method
from training.representation.content import ContentEncoder, item_tokens
from training.representation.item_turn import choose_turn
from training.reproducible import deterministic
from training.settings import Settings
from training.storage import folders, new_dir, write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ItemSpaceConfig:
    """Width D of each modality, and how the collaborative one is learned."""

    width: int = 64
    collaborative: CollaborativeConfig = field(default_factory=CollaborativeConfig)


@dataclass(frozen=True, kw_only=True)
class ItemSpace:
    """Frozen item vectors.

    Attributes:
        item_space_id: YYYYMMDD-<8 hex of content>.
        partition: The last arrival day that the vectors know.
        item_ids: External ids, sorted; row i of the arrays belongs to `item_ids[i]`.
        collaborative: float32 [I, D], unit rows; zero rows have no vector.
        content: float32 [I, D], unit rows; zero rows have no vector.
        encoder: Projects items that were not known when the space was learned.
        basis: The item space that the axes are those of: its own id, unless it was turned onto another. Vectors of one
            basis can be read by what was fitted on others of it.
    """

    item_space_id: str
    partition: str
    item_ids: tuple[str, ...]
    collaborative: Floats
    content: Floats
    encoder: ContentEncoder
    basis: str

    @property
    def width(self) -> int:
        """D, the width of one modality."""
        return int(self.content.shape[1])

    def vectors(self) -> Floats:
        """Return both modalities side by side, collaborative first: float32 [I, 2 D]."""
        return np.hstack([self.collaborative, self.content])

    def extended(self, profile: pd.DataFrame) -> ItemSpace:
        """Return the space with the profile's new items added: content vectors at once, collaborative zero.

        Items of the space keep their vectors whatever the profile says now: they are frozen.
        """
        new = profile[~profile["item_id"].isin(set(self.item_ids))].sort_values("item_id")
        if new.empty:
            return self
        ids = np.array([*self.item_ids, *new["item_id"]], dtype=object)
        order = np.argsort(ids, kind="stable")
        content = np.vstack([self.content, self.encoder.encode(item_tokens(new))])
        collaborative = np.vstack([self.collaborative, np.zeros((len(new), self.width), np.float32)])
        return replace(self, item_ids=tuple(ids[order]), collaborative=collaborative[order], content=content[order])


def learn_item_space(
    settings: Settings,
    partition: Partition,
    config: ItemSpaceConfig | None = None,
    onto: Sequence[ItemSpace] = (),
    *,
    trial: bool = False,
) -> ItemSpace:
    """Learn and store the item space that knows all interactions arrived by the end of `partition`.

    Same inputs and seed give the same id and bytes. Without attributes the content vectors are zero.

    Args:
        settings: Home and seed.
        partition: The last day that it knows.
        config: Choices; defaults when None.
        onto: Item spaces whose axes to keep: the first that holds the items of half of the events, failing that the
            one that holds most. None keeps the axes as they fall.
        trial: Only a probe reads it; no retrain takes it for the current one.
    """
    config = config or ItemSpaceConfig()
    interactions = read_log(settings, partition, ("user_id", "item_id", "session_key"))
    profile = read_item_features(settings, partition)
    with deterministic(settings.seed):
        space, facts = _learn(interactions, profile, partition, config, settings.seed, onto)
    _save(settings, space, facts | {"config": asdict(config), "seed": settings.seed, "trial": trial})
    logger.info("item space %s: %d items, %s", space.item_space_id, len(space.item_ids), facts)
    return space


def _learn(
    interactions: pa.Table,
    profile: pd.DataFrame,
    partition: Partition,
    config: ItemSpaceConfig,
    seed: int,
    onto: Sequence[ItemSpace],
) -> tuple[ItemSpace, dict[str, object]]:
    item_ids = tuple(sorted(set(values_of(interactions["item_id"]).to_pylist()) | set(profile["item_id"])))
    log = index_log(interactions, item_ids)
    method, scores = choose_method(log, config.collaborative, config.width, seed)
    collaborative = learn_collaborative(log, config.collaborative, method, config.width, seed)
    rows = _token_rows(item_ids, profile)
    encoder = ContentEncoder.learn(rows, config.width, seed)
    events_I = np.bincount(log.item_idx, minlength=len(item_ids))
    found = choose_turn(item_ids, {"collaborative": collaborative, "content": encoder.encode(rows)}, events_I, onto)
    if found is not None:
        collaborative = np.asarray(collaborative @ found.rotations["collaborative"], np.float32)
        encoder = encoder.turned(found.rotations["content"])
    content = encoder.encode(rows)
    item_space_id = f"{partition.day:%Y%m%d}-{_content_hash(item_ids, collaborative, content)}"
    space = ItemSpace(
        item_space_id=item_space_id,
        partition=str(partition),
        item_ids=item_ids,
        collaborative=collaborative,
        content=content,
        encoder=encoder,
        basis=found.basis if found else item_space_id,
    )
    turn = found.to_dict() if found else None
    return space, {"collaborative_method": method, "validation_auc": scores, "turn": turn}


def index_log(interactions: pa.Table, item_ids: tuple[str, ...]) -> IndexedLog:
    """Return interactions of `read_log` (in their given order) as contiguous indices; items follow `item_ids`."""
    return IndexedLog(
        user_idx=codes(interactions["user_id"]),
        item_idx=places_in(item_ids, interactions["item_id"]),
        session_idx=codes(interactions["session_key"]),
        num_users=len(values_of(interactions["user_id"])),
        num_items=len(item_ids),
    )


def _token_rows(item_ids: tuple[str, ...], profile: pd.DataFrame) -> list[list[str]]:
    tokens = dict(zip(profile["item_id"], item_tokens(profile), strict=True))
    return [tokens.get(item_id, []) for item_id in item_ids]


def load_item_space(settings: Settings, item_space_id: str) -> ItemSpace:
    """Return a stored item space.

    Raises:
        MissingArtefact: No such item space in this home.
    """
    folder = settings.item_space_dir(item_space_id)
    if not (folder / "manifest.json").exists():
        raise MissingArtefact(f"expected item space {item_space_id} at {folder}, found none; run train_space first")
    manifest = json.loads((folder / "manifest.json").read_text())
    return ItemSpace(
        item_space_id=item_space_id,
        partition=manifest["partition"],
        item_ids=tuple(json.loads((folder / "item_ids.json").read_text())),
        collaborative=np.load(folder / "collaborative.npy"),
        content=np.load(folder / "content.npy"),
        encoder=ContentEncoder.load(folder),
        basis=manifest.get("basis", item_space_id),
    )


def current_item_space(settings: Settings, partition: Partition) -> str | None:
    """Return the newest item space that is not after `partition` and not yet due for renewal; None when due.

    Due is counted in partitions, never against the clock.
    """
    oldest = partition.shift(1 - settings.item_space_every_days)
    paths = [folder / "manifest.json" for folder in folders(settings.home / "item_spaces")]
    manifests = [json.loads(path.read_text()) for path in paths if path.exists()]
    found = [
        (manifest["partition"], manifest["item_space_id"])
        for manifest in manifests
        if str(oldest) <= manifest["partition"] <= str(partition) and not manifest.get("trial", False)
    ]
    return max(found)[1] if found else None


def _content_hash(item_ids: tuple[str, ...], collaborative: Floats, content: Floats) -> str:
    digest = hashlib.sha256(json.dumps(item_ids).encode())
    digest.update(np.ascontiguousarray(collaborative).tobytes())
    digest.update(np.ascontiguousarray(content).tobytes())
    return digest.hexdigest()[:8]


def _save(settings: Settings, space: ItemSpace, facts: dict[str, object]) -> None:
    target = settings.item_space_dir(space.item_space_id)
    manifest = _manifest(space) | facts
    with new_dir(target) as folder:
        (folder / "item_ids.json").write_text(json.dumps(space.item_ids), encoding="utf-8")
        np.save(folder / "collaborative.npy", space.collaborative)
        np.save(folder / "content.npy", space.content)
        space.encoder.save(folder)
        write_json(manifest, Path(folder / "manifest.json"))
    if not facts["trial"] and json.loads((target / "manifest.json").read_text()).get("trial", False):
        write_json(manifest, target / "manifest.json")  # a probe had learned the same one before


def _manifest(space: ItemSpace) -> dict[str, object]:
    return {
        "item_space_id": space.item_space_id,
        "partition": space.partition,
        "num_items": len(space.item_ids),
        "width": space.width,
        "basis": space.basis,
    }


def item_spaces_in_use(settings: Settings, partition: Partition) -> list[str]:
    """Return the item spaces of every served space, and the one that the next retrain will read; sorted."""
    found = {item_space_of(settings, space_id) for space_id in published_spaces(settings)}
    found.add(current_item_space(settings, partition))
    return sorted(name for name in found if name is not None)
