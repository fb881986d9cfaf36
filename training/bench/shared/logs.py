"""Read a folder of public logs as distinct pairs in time order, for benchmarks alone.

The daily workflow goes through `training.ingest`; this keeps what a benchmark needs and contracts do not hold, such
as whether a time was observed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.bench.shared.splits import first_interactions
from training.contracts.errors import AttuneError, MissingArtefact
from training.data.pair_log import PairLog

CUTS = {"ml-1m": 975774014}
"""Last second of training where a log's interpolated times would move it: MovieLens 1M's 80 % quantile of time."""

_NAMES = {"user_id": "user_id", "user": "user_id", "userid": "user_id", "item_id": "item_id", "item": "item_id"}
_NAMES |= {"movie_id": "item_id", "timestamp": "occurred_at", "ts": "occurred_at", "time": "occurred_at"}
_NAMES |= {"occurred_at": "occurred_at", "pos": "position", "position": "position", "exact": "exact"}


@dataclass(frozen=True)
class PublicLog:
    """One data set: distinct pairs, oldest first, ids as the files hold them.

    Attributes:
        name: As tables print it.
        frame: user_id, item_id, occurred_at (int64 UTC seconds), position, and `exact` where the files tell.
        cut: Last second of the temporal training period where it is published, else None.
        content_hash: 12 hex digits of the pairs and times; results are cached by it.
    """

    name: str
    frame: pd.DataFrame
    cut: int | None
    content_hash: str

    def encoded(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], PairLog]:
        """Return the user ids and the item ids, sorted, and all pairs by their places among them."""
        users, user_idx = np.unique(self.frame["user_id"].to_numpy(), return_inverse=True)
        items, item_idx = np.unique(self.frame["item_id"].to_numpy(), return_inverse=True)
        times = self.frame["occurred_at"].to_numpy(np.int64)
        return users, items, PairLog.of(user_idx, item_idx, times, len(users), len(items))


def read_public_log(folder: Path) -> PublicLog:
    """Return the log in `folder`, whichever of the known layouts its files have.

    Known: MovieLens `u.data` and `ratings.dat`, RecBole `*.inter`, parallel `item.txt` and `time.txt` (a user a line),
    and `interactions.parquet|csv` with columns named user, item and ts (or user_id, item_id, timestamp).

    Raises:
        MissingArtefact: No known file is in the folder.
        AttuneError: Columns are missing.
    """
    for pattern, read in _READERS:
        found = sorted(folder.glob(pattern))
        if found:
            frame = first_interactions(read(found[0]))
            return PublicLog(folder.name, frame, CUTS.get(folder.name), content_hash(frame))
    patterns = ", ".join(pattern for pattern, _ in _READERS)
    raise MissingArtefact(f"expected one of {patterns} in {folder}, found none; name a folder of logs")


def content_hash(frame: pd.DataFrame) -> str:
    """Return 12 hex digits of the pairs and their times."""
    digest = hashlib.sha256()
    for column in ("user_id", "item_id", "occurred_at"):
        digest.update(pd.util.hash_pandas_object(frame[column], index=False).to_numpy().tobytes())
    return digest.hexdigest()[:12]


def _read_named(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    renamed = {column: _NAMES.get(column.split(":")[0].lower()) for column in frame.columns}
    kept = frame[[column for column, name in renamed.items() if name]]
    kept = kept.rename(columns={column: name for column, name in renamed.items() if name})
    missing = {"user_id", "item_id", "occurred_at"} - set(kept.columns)
    if missing:
        raise AttuneError(
            f"expected columns user_id, item_id and timestamp in {path}, found {', '.join(frame.columns)}; rename them"
        )
    return kept.assign(occurred_at=kept["occurred_at"].astype(np.int64))


def _read_parallel(path: Path) -> pd.DataFrame:
    rows: list[tuple[int, int, int]] = []
    with path.open() as items, path.with_name("time.txt").open() as times:
        for item_line, time_line in zip(items, times, strict=True):
            user, *user_items = map(int, item_line.split())
            _, *user_times = map(int, time_line.split())
            rows += [(user, item, at) for item, at in zip(user_items, user_times, strict=True)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "occurred_at"])


def _read_plain(path: Path, separator: str) -> pd.DataFrame:
    frame = pd.read_csv(
        path, sep=separator, engine="python", header=None, names=["user_id", "item_id", "rating", "occurred_at"]
    )
    return frame.drop(columns="rating")


_READERS: tuple[tuple[str, Callable[[Path], pd.DataFrame]], ...] = (
    ("interactions.parquet", lambda path: _read_named(pd.read_parquet(path), path)),
    ("interactions.csv", lambda path: _read_named(pd.read_csv(path), path)),
    ("*.inter", lambda path: _read_named(pd.read_csv(path, sep="\t"), path)),
    ("u.data", lambda path: _read_plain(path, "\t")),
    ("ratings.dat", lambda path: _read_plain(path, "::")),
    ("item.txt", _read_parallel),
)
