"""Tell whom erasure has made unreadable: one small file beside the pointer, which every reader honours at once.

It holds keyed hashes of ids, never an id. The key lies beside them, since every reader needs it: whoever may read the
file can ask whether a given id was erased, and cannot list who was. Standard library only, as a lookup needs it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TOMBSTONES = "erased.json"
_MARK_BYTES = 16


@dataclass(frozen=True)
class Tombstones:
    """The erased users of one home.

    Attributes:
        key: Of the hashes, hex digits, drawn once for each home.
        marks: The hash of each erased user's id, hex digits.
    """

    key: str = ""
    marks: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Return whether anybody was erased."""
        return bool(self.marks)

    def mark(self, user_id: str) -> str:
        """Return the hash of an id; half a surrogate pair, which no log holds, is hashed all the same."""
        text = user_id.encode(errors="surrogatepass")
        return hashlib.blake2b(text, digest_size=_MARK_BYTES, key=bytes.fromhex(self.key)).hexdigest()

    def among(self, user_ids: Sequence[str]) -> list[bool]:
        """Return of each id [n] whether that user was erased."""
        if not self.marks:
            return [False] * len(user_ids)
        return [self.mark(user_id) in self.marks for user_id in user_ids]

    def to_json(self) -> dict[str, object]:
        """Return what the file holds."""
        return {"key": self.key, "marks": sorted(self.marks)}


class TombstoneFile:
    """The tombstones of a published folder as they are now, read again when the file changes: one `stat` a call."""

    def __init__(self, published_dir: Path) -> None:
        """Watch the file; it need not be there yet."""
        self._path = published_dir / TOMBSTONES
        self._seen: tuple[tuple[int, int, int] | None, Tombstones] = None, Tombstones()

    def read(self) -> Tombstones:
        """Return the tombstones in force; none where nobody was ever erased."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return Tombstones()
        key = stat.st_ino, stat.st_mtime_ns, stat.st_size
        seen, found = self._seen
        if seen != key:
            values = json.loads(self._path.read_text(encoding="utf-8"))
            found = Tombstones(values["key"], frozenset(values["marks"]))
            self._seen = key, found  # one assignment: other threads see the old pair or the new one
        return found
