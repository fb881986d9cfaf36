"""Hold what a snapshot is made of before it is written: a space's vectors and its consumers' vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from serving_export.packed import FRAME, Ids, find_rows, pack_ids, unpack_ids
from training.arrays import Floats
from training.contracts.artefacts import ModelRef
from training.contracts.errors import ContractViolation, SpaceMismatch
from training.contracts.partitions import Partition


@dataclass(frozen=True, kw_only=True)
class SpaceVectors:
    """Every user's vector of one space as of one partition.

    Attributes:
        user_ids: Packed external ids [U], sorted.
        vectors_UZ: float32, row i is that of `user_ids[i]`.
        is_virtual: bool [U], users without history whose vector was imagined; None where no consumer imagines any.
    """

    space_id: str
    partition: Partition
    user_ids: Ids
    vectors_UZ: Floats
    is_virtual: NDArray[np.bool_] | None = None

    def imagined(self, user_ids: Ids, vectors_nZ: Floats) -> SpaceVectors:
        """Return the same with the vectors of some users, those without history, replaced by imagined ones.

        Args:
            user_ids: Packed external ids [n]; a user that the space does not hold is passed over.
            vectors_nZ: float32[n, Z], what the space's encoder makes of their virtual inputs.
        """
        checked = check_vectors(vectors_nZ, len(user_ids), f"users without history in space {self.space_id}")
        rows = find_rows(self.user_ids, unpack_ids(user_ids))
        vectors, mask = self.vectors_UZ.copy(), np.zeros(len(self.user_ids), dtype=np.bool_)
        vectors[rows[rows >= 0]], mask[rows[rows >= 0]] = checked[rows >= 0], True
        return replace(self, vectors_UZ=vectors, is_virtual=mask)

    @classmethod
    def of(cls, space_id: str, partition: Partition, user_ids: Sequence[str], vectors_UZ: NDArray[Any]) -> SpaceVectors:
        """Return the vectors in the order of sorted ids.

        Raises:
            ContractViolation: An id occurs twice, a value is not finite, or the lengths differ.
        """
        order = sorted(range(len(user_ids)), key=user_ids.__getitem__)
        vectors = check_vectors(vectors_UZ, len(user_ids), f"space {space_id} of {partition}")
        packed = pack_ids([user_ids[row] for row in order])
        return cls(space_id=space_id, partition=partition, user_ids=packed, vectors_UZ=vectors[order])


@dataclass(frozen=True, kw_only=True)
class FrameVectors:
    """What turns a space's users into a frame, and the items as the frame's readers know them.

    Attributes:
        frame_id: The frame.
        rotation_ZZ, centre_Z, origin_Z: float64; a user of the space is (z − centre) · rotation + origin in the frame.
        item_ids: Packed external ids [I], sorted.
        item_vectors: float32 [I, E].
        about: What was measured of the map, for the manifest.
        framed_UZ: float32 [U, Z], the users in the frame where they were turned before; None to turn them.
    """

    frame_id: str
    rotation_ZZ: NDArray[np.float64]
    centre_Z: NDArray[np.float64]
    origin_Z: NDArray[np.float64]
    item_ids: Ids
    item_vectors: Floats
    about: dict[str, Any]
    framed_UZ: Floats | None = None

    def arrays(self, vectors_UZ: Floats) -> dict[str, NDArray[Any]]:
        """Return the arrays to write for the users of a snapshot, by file name without suffix.

        The framed vectors are kept whole: turned anew for one user or for many they would differ in their last bits.
        """
        framed = self.framed_UZ
        if framed is None:
            framed = np.asarray((vectors_UZ - self.centre_Z) @ self.rotation_ZZ + self.origin_Z, np.float32)
        return {
            f"{FRAME}/vectors": check_vectors(framed, len(vectors_UZ), f"users in {self.frame_id}"),
            f"{FRAME}/rotation": self.rotation_ZZ,
            f"{FRAME}/centre": self.centre_Z,
            f"{FRAME}/origin": self.origin_Z,
            f"{FRAME}/item_ids": self.item_ids,
            f"{FRAME}/item_vectors": check_vectors(self.item_vectors, len(self.item_ids), f"items of {self.frame_id}"),
        }


@dataclass(frozen=True, kw_only=True)
class ConsumerVectors:
    """A consumer's two sides, such that the score of (user, item) is the inner product of their rows.

    A user may have K vectors: then the largest of their inner products with the item is the score.

    Attributes:
        model: The model that made them; its `space_id` is that of the snapshot that may hold them.
        user_ids, item_ids: Packed external ids [U'] and [I], sorted.
        user_vectors: float32 [U', D], or [U', K, D].
        item_vectors_ID: float32 [I, D].
        seen_UI: bool CSR; which user has interacted with which item before the snapshot's `as_of`.
        virtual_ids, virtual_z: Users without history [n], sorted, and the vectors of the space float32[n, Z] that this
            consumer imagines for them; None for a consumer that imagines none.
    """

    model: ModelRef
    user_ids: Ids
    item_ids: Ids
    user_vectors: Floats
    item_vectors_ID: Floats
    seen_UI: sparse.csr_array
    virtual_ids: Ids | None = None
    virtual_z: Floats | None = None

    def __post_init__(self) -> None:
        """Raise ContractViolation when the sides do not fit together."""
        where = f"{self.model.consumer} {self.model.version}"
        rows = self.user_vectors.reshape(-1, self.user_vectors.shape[-1])
        check_vectors(rows, len(self.user_ids) * self.num_vectors, f"users of {where}")
        check_vectors(self.item_vectors_ID, len(self.item_ids), f"items of {where}")
        widths = self.user_vectors.shape[-1], self.item_vectors_ID.shape[1]
        if widths[0] != widths[1]:
            raise ContractViolation(
                f"expected one width for users and items of {where}, found {widths[0]}, {widths[1]}"
            )
        if self.seen_UI.shape != (len(self.user_ids), len(self.item_ids)):
            raise ContractViolation(f"expected seen pairs over users and items of {where}, found {self.seen_UI.shape}")

    @property
    def num_vectors(self) -> int:
        """K, vectors of one user."""
        return int(self.user_vectors.shape[1]) if self.user_vectors.ndim == 3 else 1

    def popularity(self) -> dict[str, NDArray[Any]]:
        """Return every item, the one with the most users first (equal ones by id), and how many, float32 [I]."""
        num_users_I = np.bincount(_rows_of(self.seen_UI)[1], minlength=len(self.item_ids)).astype(np.float32)
        order = np.lexsort((np.arange(len(num_users_I)), -num_users_I))
        return {"item_ids": self.item_ids[order], "scores": num_users_I[order]}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to write, by file name without suffix."""
        by_user, by_item = _rows_of(self.seen_UI), _rows_of(self.seen_UI.T)
        return {
            "user_ids": self.user_ids,
            "user_vectors": self.user_vectors,
            "user_seen_indptr": by_user[0],
            "user_seen_indices": by_user[1],
            "item_ids": self.item_ids,
            "item_vectors": self.item_vectors_ID,
            "item_seen_indptr": by_item[0],
            "item_seen_indices": by_item[1],
        }


def check_vectors(vectors: NDArray[Any], num_rows: int, where: str) -> Floats:
    """Return a matrix as contiguous float32.

    Raises:
        ContractViolation: It is no matrix of `num_rows` rows, or holds NaN or infinity.
    """
    if vectors.ndim != 2 or len(vectors) != num_rows:
        raise ContractViolation(f"expected a matrix of {num_rows} rows for {where}, found shape {vectors.shape}")
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise ContractViolation(
            f"expected finite vectors of {where}, found {len(broken)} rows with NaN or infinity, first row "
            f"{broken[0]}; nothing was published, the last good snapshot goes on being served"
        )
    return np.ascontiguousarray(vectors, dtype=np.float32)


def check_space(space: SpaceVectors, consumers: Sequence[ConsumerVectors]) -> None:
    """Raise SpaceMismatch when a consumer's model was trained on another space than that of the snapshot."""
    for consumer in consumers:
        if consumer.model.space_id != space.space_id:
            where = f"the model {consumer.model.consumer} {consumer.model.version}"
            remedy = f"train {consumer.model.consumer} on {space.space_id} before promoting it"
            raise SpaceMismatch(space.space_id, consumer.model.space_id, where, remedy)


def _rows_of(matrix: Any) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    rows = sparse.csr_array(matrix)
    rows.sum_duplicates()
    rows.sort_indices()
    return rows.indptr.astype(np.int64), rows.indices.astype(np.int32)
