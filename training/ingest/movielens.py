"""Read what GroupLens ships beside MovieLens' ratings.

Harper and Konstan, "The MovieLens Datasets: History and Context", 2015.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from training.ingest.side_tables import read_layout_sides


def read_sides(folder: Path) -> dict[str, pa.Table]:
    """Return users and items of the files beside the ratings, as far as they exist."""
    return read_layout_sides("movielens", folder)
