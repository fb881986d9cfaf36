"""Read Amazon reviews as one user a line: `item.txt` with the items, `time.txt` with the times.

McAuley et al., "Image-based Recommendations on Styles and Substitutes", 2015; Ni et al., "Justifying Recommendations
using Distantly-Labeled Reviews", 2019. The usual releases are read through `layouts/amazon.yaml`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.contracts.errors import AttuneError
from training.ingest.column_map import ColumnMap
from training.ingest.sources import require_file

SEQUENCES = ColumnMap.from_dict({"constants": {"event_type": "rating"}}, "amazon")
_REMEDY = "give the whole data set"


def has_sequences(folder: Path) -> bool:
    """Return whether a folder holds one user a line."""
    return (folder / "item.txt").exists() or (folder / "time.txt").exists()


def join_sequences(folder: Path, workspace: Path) -> Path:
    """Return a table of user_id, item_id and occurred_at made of the two files, as text.

    Raises:
        MissingArtefact: One of the files is not there.
        AttuneError: The files do not match line by line; the message names the line.
    """
    item_path, time_path = folder / "item.txt", folder / "time.txt"
    users, items = _lines(item_path)
    time_users, times = _lines(time_path)
    if len(users) != len(time_users):
        raise AttuneError(f"expected {len(users)} lines in {time_path} as in {item_path}, found {len(time_users)}")
    for line, (user, n, time_user, m) in enumerate(zip(users, items, time_users, times, strict=True), start=1):
        if user != time_user or len(n) != len(m):
            raise AttuneError(
                f"expected user {user} with {len(n)} times in line {line} of {time_path}, "
                f"found user {time_user} with {len(m)}; the two files must match line by line"
            )
    lengths = np.array([len(row) for row in items])
    rows = pa.table(
        {
            "user_id": pa.array(np.repeat(np.array(users), lengths)),
            "item_id": pa.array([cell for row in items for cell in row]),
            "occurred_at": pa.array([cell for row in times for cell in row]),
        }
    )
    path = workspace / "sequences.parquet"
    pq.write_table(rows, path)
    return path


def _lines(path: Path) -> tuple[list[str], list[list[str]]]:
    text = require_file(path, _REMEDY).read_text(encoding="utf-8")
    cells = [line.split() for line in text.splitlines() if line.strip()]
    return [row[0] for row in cells], [row[1:] for row in cells]
