"""Turn one system of coordinates onto another, so that what was fitted on the old one can read the new one.

Maps only rotate (orthogonal Procrustes, Schönemann 1966): distances within the new space are kept. None scales: a
factor fitted by least squares is below one at every step (regression to the mean), and shrinks what a reader gets.

Shape legend: U users, I items, Z latent columns, D item vector columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.linalg import orthogonal_procrustes

from training.arrays import Doubles, Floats


@dataclass(frozen=True)
class SpaceMap:
    """z_old ≈ (z_new − centre_new) · rotation + centre_old.

    Attributes:
        rotation: float64 [Z, Z], orthogonal.
        centre_new: float64 [Z].
        centre_old: float64 [Z].
    """

    rotation: Doubles
    centre_new: Doubles
    centre_old: Doubles

    @classmethod
    def learn(cls, new_UZ: Floats, old_UZ: Floats) -> SpaceMap:
        """Return the best map between the same users' vectors in two spaces.

        Raises:
            ValueError: The widths differ; a rotation needs equal ones.
        """
        if new_UZ.shape != old_UZ.shape or len(new_UZ) == 0:
            raise ValueError(
                f"expected the same users and width in both spaces, found {new_UZ.shape} and {old_UZ.shape}"
            )
        new, old = new_UZ.astype(np.float64), old_UZ.astype(np.float64)
        centre_new, centre_old = new.mean(axis=0), old.mean(axis=0)
        rotation, _ = orthogonal_procrustes(new - centre_new, old - centre_old)
        return cls(rotation, centre_new, centre_old)

    @classmethod
    def identity(cls, width: int) -> SpaceMap:
        """Return the map of a space onto itself."""
        return cls(np.eye(width), np.zeros(width), np.zeros(width))

    def apply(self, new_UZ: Floats) -> Floats:
        """Return new vectors as a reader of the old space expects them, float32 [U, Z]."""
        return np.asarray((new_UZ - self.centre_new) @ self.rotation + self.centre_old, np.float32)

    def residual(self, new_UZ: Floats, old_UZ: Floats) -> float:
        """Return the share of the old vectors' variance, about their mean, that the map does not explain.

        Judge a map on users that it was not learned from: with few of them it fits their noise.
        """
        old = old_UZ.astype(np.float64)
        error = np.square(old - self.apply(new_UZ)).sum()
        return float(error / max(np.square(old - old.mean(axis=0)).sum(), 1e-12))

    def save(self, path: Path) -> None:
        """Write the map as one npz file."""
        np.savez(path, rotation=self.rotation, centre_new=self.centre_new, centre_old=self.centre_old)

    @classmethod
    def load(cls, path: Path) -> SpaceMap:
        """Return the map that `save` wrote."""
        with np.load(path) as arrays:
            return cls(*(arrays[name] for name in ("rotation", "centre_new", "centre_old")))


def rotation_onto(new_ID: Floats, old_ID: Floats, weight_I: npt.NDArray[np.floating]) -> Doubles:
    """Return the rotation, float64 [D, D], of new item vectors onto the old ones of the same items; nothing is centred.

    Args:
        new_ID: Item vectors to turn; zero rows count for nothing.
        old_ID: What they are turned onto.
        weight_I: How much each item's squared distance counts.
    """
    root_I = np.sqrt(weight_I.astype(np.float64))[:, None]
    rotation, _ = orthogonal_procrustes(new_ID * root_I, old_ID * root_I)
    return np.asarray(rotation, np.float64)
