"""Keep erased users off the online store, whatever a snapshot that is being written still holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from training.contracts.tombstones import TombstoneFile

if TYPE_CHECKING:
    from training.data.online.writer import OnlineWriter


class WithoutErased:
    """Write as another writer does, without the rows of users who were erased before a block was sent."""

    def __init__(self, writer: OnlineWriter, published_dir: Path) -> None:
        """Write by `writer`; the tombstones lie in `published_dir`."""
        self._writer = writer
        self._file = TombstoneFile(published_dir)

    def write(self, view: str, blocks: Iterable[pa.RecordBatch]) -> int:
        """Serve the rows of every block but those of erased users, and return how many there were."""
        return self._writer.write(view, self._kept(blocks))

    def delete_keys(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Serve nothing of a view any more for some keys, erased or not, and return how many were given."""
        return self._writer.delete_keys(view, keys)

    def num_served(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        """Return for how many keys, erased or not, a view serves something."""
        return self._writer.num_served(view, keys)

    def keep_only(self, view: str, slot: str, kept: Iterable[pa.RecordBatch]) -> int:
        """Serve nothing of a view any more but for the keys of `kept` that are not of erased users."""
        return self._writer.keep_only(view, slot, self._kept(kept))

    def _kept(self, blocks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for block in blocks:
            tombstones = self._file.read()
            if not tombstones or "user_id" not in block.schema.names:
                yield block
                continue
            erased = tombstones.among(block.column("user_id").to_pylist())
            kept = block.filter(pa.array([not gone for gone in erased]))
            if len(kept):
                yield kept
