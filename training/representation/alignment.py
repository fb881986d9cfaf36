"""Map a new space onto the one before it, so that a consumer that has not been retrained can still read.

The map only rotates (orthogonal Procrustes, Schönemann 1966): distances within the new space are kept.

Shape legend: U users, Z latent columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.arrays import Floats


@dataclass(frozen=True)
class SpaceMap:
    """z_old ≈ (z_new − centre_new) · scale · rotation + centre_old.

    Attributes:
        rotation: float64 [Z, Z], orthogonal.
        scale: Least-squares factor between the two spaces' sizes.
        centre_new: float64 [Z].
        centre_old: float64 [Z].
        residual: Share of the old vectors' variance that the map does not explain.
    """

    rotation: npt.NDArray[np.float64]
    scale: float
    centre_new: npt.NDArray[np.float64]
    centre_old: npt.NDArray[np.float64]
    residual: float

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
        left, singular, right = np.linalg.svd((new - centre_new).T @ (old - centre_old))
        rotation = left @ right
        scale = float(singular.sum() / max(np.square(new - centre_new).sum(), 1e-12))
        error = (old - centre_old) - scale * (new - centre_new) @ rotation
        residual = float(np.square(error).sum() / max(np.square(old - centre_old).sum(), 1e-12))
        return cls(rotation, scale, centre_new, centre_old, residual)

    def apply(self, new_UZ: Floats) -> Floats:
        """Return new vectors as a reader of the old space expects them, float32 [U, Z]."""
        mapped = (new_UZ - self.centre_new) @ self.rotation * self.scale + self.centre_old
        return mapped.astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the map as one npz file."""
        np.savez(
            path,
            rotation=self.rotation,
            scale=self.scale,
            centre_new=self.centre_new,
            centre_old=self.centre_old,
            residual=self.residual,
        )

    @classmethod
    def load(cls, path: Path) -> SpaceMap:
        """Return the map that `save` wrote."""
        with np.load(path) as arrays:
            return cls(
                rotation=arrays["rotation"],
                scale=float(arrays["scale"]),
                centre_new=arrays["centre_new"],
                centre_old=arrays["centre_old"],
                residual=float(arrays["residual"]),
            )
