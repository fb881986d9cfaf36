"""Read Amazon reviews: ratings without header, or one user a line (`item.txt` with `time.txt`).

McAuley et al., "Image-based Recommendations on Styles and Substitutes", 2015; Ni et al., "Justifying Recommendations
using Distantly-Labeled Reviews", 2019.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from training.contracts.errors import AttuneError, MissingArtefact
from training.ingest.history import History
from training.ingest.sources import TEXT, read_separated, require_file
from training.ingest.typed_columns import typed

_ASIN_LENGTH = 10
_REMEDY = "give the whole data set"


def read_amazon(folder: Path) -> History:
    """Return the history in a folder of Amazon ratings.

    Raises:
        MissingArtefact: The folder holds neither `item.txt` and `time.txt` nor a CSV of ratings.
        AttuneError: A file does not parse; the message names it.
    """
    if (folder / "item.txt").exists() or (folder / "time.txt").exists():
        interactions = _read_sequences(folder / "item.txt", folder / "time.txt")
    else:
        interactions = _read_ratings(_ratings_file(folder))
    return History(source=str(folder), interactions=interactions)


def _ratings_file(folder: Path) -> Path:
    found = sorted(path for path in folder.glob("*") if path.suffix in TEXT)
    if len(found) != 1:
        raise MissingArtefact(
            f"expected one CSV of user,item,rating,timestamp in {folder}, found {len(found)}; "
            "leave one file there, or name another FORMAT"
        )
    return found[0]


def _read_ratings(path: Path) -> pa.Table:
    rows = read_separated(path, ",", ("user_id", "item_id", "event_value", "occurred_at"))
    if _is_asin(rows["user_id"]) and not _is_asin(rows["item_id"]):
        rows = rows.rename_columns(["item_id", "user_id", "event_value", "occurred_at"])
    return typed(rows, path, constants={"event_type": "rating"})


def _is_asin(column: pa.ChunkedArray) -> bool:
    """Whether ids look like items: releases from 2018 on put the item first."""
    sample = [cell or "" for cell in column.slice(0, 1000).to_pylist()]
    return all(len(cell) == _ASIN_LENGTH and not cell.startswith("A") for cell in sample)


def _read_sequences(item_path: Path, time_path: Path) -> pa.Table:
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
    return typed(rows, time_path, constants={"event_type": "rating"})


def _lines(path: Path) -> tuple[list[str], list[list[str]]]:
    text = require_file(path, _REMEDY).read_text(encoding="utf-8")
    cells = [line.split() for line in text.splitlines() if line.strip()]
    return [row[0] for row in cells], [row[1:] for row in cells]
