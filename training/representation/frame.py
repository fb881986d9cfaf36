"""Keep a frame: one system of coordinates into which every later space is turned by what it says of the same anchors.

Each map is learned against the frame's first day, never against the day before, so that no error adds up; and from
frozen rows, so that what users did since is not taken for a movement of the space.

Shape legend: A anchors, Z latent columns.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.arrays import Floats
from training.contracts.errors import MissingArtefact
from training.contracts.frames import frame_of, is_frame
from training.contracts.partitions import Partition
from training.representation.alignment import SpaceMap
from training.representation.anchors import Anchors
from training.representation.user_space import UserSpace
from training.settings import Settings
from training.storage import folders, new_dir, write_json

MANIFEST = "manifest.json"
_MAP, _FIGURES = "map.npz", "figures.json"


@dataclass(frozen=True)
class Frame:
    """A frame and what later spaces are held against.

    Attributes:
        frame_id: "frame-" and the space that it began with.
        space_id: That space.
        item_space_id: What that space reads.
        anchors: Frozen on the frame's first day.
        vectors_AZ: What that space makes of them.
        folder: Where the frame lies.
    """

    frame_id: str
    space_id: str
    item_space_id: str
    anchors: Anchors
    vectors_AZ: Floats
    folder: Path

    @property
    def width(self) -> int:
        """Z, the width of a vector of the frame."""
        return int(self.vectors_AZ.shape[1])

    @classmethod
    def load(cls, settings: Settings, frame_id: str) -> Frame:
        """Return a stored frame.

        Raises:
            MissingArtefact: No such frame in this home.
        """
        folder = settings.frame_dir(frame_id)
        if not is_frame(frame_id) or not (folder / MANIFEST).exists():
            raise MissingArtefact(f"expected {frame_id} at {folder}, found none; `status` names the frame in force")
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        anchors, vectors_AZ = Anchors.load(folder, Partition.parse(facts["partition"]), facts["seed"])
        return cls(frame_id, facts["space_id"], facts["item_space_id"], anchors, vectors_AZ, folder)

    def encoded_by(self, settings: Settings, space: UserSpace) -> Floats:
        """Return what a space makes of the frozen anchors, float32 [A, Z]."""
        until = Partition.parse(space.ref.partition)
        return space.encode(self.anchors.pooled_in(settings, space.ref.item_space_id, until))

    def map_of(self, space_id: str) -> SpaceMap:
        """Return the map of a space into the frame.

        Raises:
            MissingArtefact: The space was never brought into it.
        """
        if space_id == self.space_id:
            return SpaceMap.identity(self.width)
        path = self._step(space_id) / _MAP
        if not path.exists():
            raise MissingArtefact(
                f"expected a map of {space_id} into {self.frame_id} at {path}, found none; promote it"
            )
        return SpaceMap.load(path)

    def figures_of(self, space_id: str) -> dict[str, Any] | None:
        """Return what was measured of a space's map, None where the space was never brought into the frame."""
        path = self._step(space_id) / _FIGURES
        found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        return found

    def keep_step(self, space_id: str, space_map: SpaceMap | None, figures: dict[str, Any]) -> None:
        """Keep a space's map into the frame, None where there can be none, and what was measured of it."""
        with new_dir(self._step(space_id)) as folder:
            if space_map is not None:
                space_map.save(folder / _MAP)
            write_json(figures, folder / _FIGURES)

    def _step(self, space_id: str) -> Path:
        return self.folder / "steps" / space_id


def keep_frame(folder: Path, space: UserSpace, anchors: Anchors, vectors_AZ: Floats) -> None:
    """Write a frame that begins with a space into a folder that is not visible yet."""
    anchors.save(folder, vectors_AZ)
    facts = {
        "frame_id": frame_of(space.ref.space_id),
        "space_id": space.ref.space_id,
        "item_space_id": space.ref.item_space_id,
        "partition": str(anchors.partition),
        "num_anchors": len(vectors_AZ),
        "width": int(vectors_AZ.shape[1]),
        "seed": anchors.seed,
    }
    write_json(facts, folder / MANIFEST)


def learn_map(new_AZ: Floats, frame_AZ: Floats, judging_A: npt.NDArray[np.bool_]) -> tuple[SpaceMap, dict[str, Any]]:
    """Return the map that half of the anchors teach, and how well the other half is met.

    Args:
        new_AZ: The anchors by the newer encoder.
        frame_AZ: The same by the frame's first encoder.
        judging_A: Which of them judge.

    Returns:
        The map; `residual`, the share of the judging anchors' variance that it leaves unexplained, `size_ratio`, the
        newer vectors' size over that of the frame's, and the numbers of anchors on both sides.
    """
    space_map = SpaceMap.learn(new_AZ[~judging_A], frame_AZ[~judging_A])
    sizes = [float(np.square(z - z.mean(axis=0)).sum()) for z in (new_AZ, frame_AZ)]
    return space_map, {
        "residual": space_map.residual(new_AZ[judging_A], frame_AZ[judging_A]),
        "size_ratio": float(np.sqrt(sizes[0] / max(sizes[1], 1e-12))),
        "num_learning": int((~judging_A).sum()),
        "num_judging": int(judging_A.sum()),
    }


def forget_anchors(settings: Settings, user_ids: Collection[str]) -> int:
    """Take users out of every frame's anchors and return how many rows went; maps that were learned before stay."""
    removed = 0
    for folder in folders(settings.home / "frames"):
        frame = Frame.load(settings, folder.name)
        anchors, kept_A = frame.anchors.without(user_ids)
        if kept_A.all():
            continue
        anchors.save(folder, frame.vectors_AZ[kept_A])
        removed += int((~kept_A).sum())
    return removed


def remove_frames(settings: Settings, kept: Collection[str]) -> list[str]:
    """Remove every frame but those `kept`, for they hold what users did, and return their names."""
    gone = [folder for folder in folders(settings.home / "frames") if folder.name not in kept]
    for folder in gone:
        hidden = folder.with_name(f".{folder.name}.removed")
        shutil.rmtree(hidden, ignore_errors=True)
        folder.rename(hidden)
        shutil.rmtree(hidden)
    return [folder.name for folder in gone]
