"""What the operator has done so far, for the reader to know: a small file that is replaced whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from training.storage import write_json


@dataclass(frozen=True)
class Marks:
    """What holds from now on.

    Attributes:
        pinned: The space that `matching` is pinned to.
        erasing: A user whose erasure has begun.
        erased: The same, once the command has said that nobody can read the user any more.
    """

    pinned: str = ""
    erasing: str = ""
    erased: str = ""

    def write(self, path: Path) -> None:
        """Replace the file."""
        write_json(asdict(self), path)

    @classmethod
    def read(cls, path: Path) -> Marks:
        """Return what was written last, nothing before that."""
        return cls(**json.loads(path.read_bytes())) if path.exists() else cls()
