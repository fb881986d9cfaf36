"""Read RecBole's atomic files: `*.inter`, `*.user`, `*.item`, tab-separated under a header of `name:type`.

Zhao et al., "RecBole: Towards a Unified, Comprehensive and Efficient Framework for Recommendation Algorithms", 2021.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from training.contracts.errors import AttuneError
from training.ingest.side_tables import read_layout_sides

_SUFFIXES = (".inter", ".user", ".item")


def require_one_set(folder: Path) -> None:
    """Raise AttuneError when a folder holds the files of several data sets."""
    for suffix in _SUFFIXES:
        found = sorted(folder.glob(f"*{suffix}"))
        if len(found) > 1:
            raise AttuneError(f"expected one {suffix} file in {folder}, found {len(found)}; move the others away")


def read_sides(folder: Path) -> dict[str, pa.Table]:
    """Return users and items of the `.user` and `.item` files in a folder, as far as they exist."""
    require_one_set(folder)
    return read_layout_sides("recbole", folder)
