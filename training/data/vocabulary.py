"""Map external ids to contiguous indices, frozen: sorted ids, so that equal sets give equal indices."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.contracts.errors import AttuneError, UnknownId
from training.storage import write_json

UNKNOWN = -1
"""The index that stands for an id that the vocabulary does not hold."""

Unknown = Literal["raise", "warn", "ignore"]


class Vocabulary:
    """Sorted external ids and their places, `0..len-1`.

    Args:
        ids: External ids in any order; repetitions count once.
        name: What the ids name ("user", "item"), for messages.
    """

    def __init__(self, ids: Iterable[str], name: str = "id") -> None:
        self.name = name
        self._ids = sorted(set(ids))
        self._values = pa.array(self._ids, pa.string())

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, external_id: object) -> bool:
        place = bisect_left(self._ids, external_id) if isinstance(external_id, str) else len(self)
        return place < len(self) and self._ids[place] == external_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._ids == other._ids

    def __hash__(self) -> int:
        return hash(tuple(self._ids))

    @property
    def ids(self) -> tuple[str, ...]:
        """Every external id, in the order of the indices."""
        return tuple(self._ids)

    def encode(
        self, ids: Sequence[str] | pa.Array | pa.ChunkedArray, unknown: Unknown = "raise"
    ) -> npt.NDArray[np.int32]:
        """Return the index of each id, int32; a call hashes all ids that are held, so ask for many at once.

        Args:
            ids: External ids; none give an empty array. Of a dictionary-encoded column each value is sought once.
            unknown: What to do about an id that is not held: raise, or give it -1 with or without a warning.

        Raises:
            UnknownId: `unknown` is "raise" and an id is not held; the message names the first.
        """
        column = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(ids, pa.string())
        index = self._places(column)
        missing = np.flatnonzero(index == UNKNOWN)
        if len(missing) and unknown != "ignore":
            self._report(str(column[int(missing[0])]), len(missing), unknown)
        return index

    def aligned(self, ids: Sequence[str], vectors_ND: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the vectors of N ids, float32[N, D], as a row for each id that is held; zeros where it has none.

        Ids that are not held are passed over.
        """
        rows = self.encode(ids, unknown="ignore")
        vectors = np.zeros((len(self), vectors_ND.shape[1]), np.float32)
        vectors[rows[rows >= 0]] = vectors_ND[rows >= 0]
        return vectors

    def decode(self, index: npt.ArrayLike) -> list[str]:
        """Return the external id at each index.

        Raises:
            UnknownId: An index is outside `0..len-1`.
        """
        places = np.asarray(index, dtype=np.int64)
        outside = places[(places < 0) | (places >= len(self))]
        if len(outside):
            raise UnknownId(
                f"expected {self.name} indices from 0 to {len(self) - 1}, found {outside[0]}; drop padding first"
            )
        return [self._ids[place] for place in places]

    def save(self, path: Path) -> None:
        """Write the ids as JSON, atomically."""
        write_json({"name": self.name, "ids": self._ids}, path)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Return the vocabulary that `save` wrote.

        Raises:
            AttuneError: The file is not a saved vocabulary.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(content["ids"], content["name"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise AttuneError(f"expected a saved vocabulary at {path}, found {error!r}; write it again") from error

    def _places(self, column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int32]:
        if pa.types.is_dictionary(column.type):
            whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            places: npt.NDArray[np.int32] = self._places(whole.dictionary)[np.asarray(whole.indices)]
            return places
        return np.asarray(pc.fill_null(pc.index_in(column, value_set=self._values), UNKNOWN)).astype(np.int32)

    def _report(self, first: str, count: int, unknown: Unknown) -> None:
        message = (
            f"expected known {self.name} ids, found {count} unknown, the first {first!r}, among {len(self)} held; "
            "encode with unknown='ignore' to give them -1"
        )
        if unknown == "raise":
            raise UnknownId(message)
        import warnings

        warnings.warn(message, stacklevel=3)
