"""Time opening snapshots and looking up in them as they grow: a lookup should cost the same in all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving_export.bench.lookups import WIDTH, publish_vectors
from serving_export.lookup import EmbeddingStore
from serving_export.packed import Rows
from training.bench.shared.timing import Timing, seconds_each
from training.settings import Settings

logger = logging.getLogger(__name__)
LOOKED_UP = 100
OPENED_WITHIN_S = 1.0
MOST_GROWTH = 1.5
_LOOKUP = f"lookup of {LOOKED_UP} of"


def size_timings(folder: Path, sizes: Sequence[int], seed: int, repeats: int = 5) -> list[Timing]:
    """Return for each number of users a lookup's line and that of opening the snapshot with every byte verified.

    The last line is what a lookup costs in the largest, over what it costs in the smallest.

    Args:
        folder: Homes of the benchmark's own lie in it.
        sizes: Users in each snapshot, ascending.
        seed: Of the vectors and of who is asked for.
        repeats: Openings to take the median of; forty times as many lookups, of all sizes in turns.
    """
    published = [_published(folder, size, seed) for size in sizes]
    taken = seconds_each({name: call for one in published for name, call in one.lookups().items()}, 40 * repeats)
    lines = [line for one in published for line in (one.lookup_line(taken), one.opening_line(repeats))]
    growth = taken[f"ours of {sizes[-1]}"] / taken[f"ours of {sizes[0]}"]
    return [
        *lines,
        Timing(what=f"{_LOOKUP} {sizes[-1]:,} over {sizes[0]:,} users", unit="times", ours=growth, target=MOST_GROWTH),
    ]


@dataclass(frozen=True)
class _Published:
    """A snapshot of some users, and who and which rows are looked up in it."""

    store: EmbeddingStore
    published_dir: Path
    num_users: int
    users: list[str]
    rows: Rows

    def lookups(self) -> dict[str, Callable[[], object]]:
        """Return what is timed: a lookup, and the same rows where their numbers are known."""
        mapped = self.store.snapshot.vectors
        return {
            f"ours of {self.num_users}": lambda: self.store.lookup(self.users),
            f"mapped of {self.num_users}": lambda: mapped[self.rows],
        }

    def lookup_line(self, taken: Mapping[str, float]) -> Timing:
        """Return the line of a lookup."""
        return Timing(
            what=f"{_LOOKUP} {self.num_users:,} users, in process",
            unit="ms",
            ours=1000 * taken[f"ours of {self.num_users}"],
            limits={"mapped rows of known number": 1000 * taken[f"mapped of {self.num_users}"]},
        )

    def opening_line(self, repeats: int) -> Timing:
        """Time opening the snapshot, and reading its bytes."""
        files = [path for path in self.store.snapshot.folder.iterdir() if path.is_file()]
        opened = seconds_each(
            {
                "ours": lambda: EmbeddingStore(self.published_dir).verify(),
                "read": lambda: [path.read_bytes() for path in files],
            },
            repeats,
        )
        logger.info("%d users are measured", self.num_users)
        return Timing(
            what=f"opening {self.num_users:,} users × {WIDTH}, verified",
            unit="s",
            ours=opened["ours"],
            limits={"reading the bytes": opened["read"]},
            target=OPENED_WITHIN_S,
        )


def _published(folder: Path, num_users: int, seed: int) -> _Published:
    rng = np.random.default_rng(seed)
    settings = Settings.from_env({"ATTUNE_HOME": str(folder / f"users-{num_users}"), "ATTUNE_SEED": str(seed)})
    user_ids = [f"u{n:07d}" for n in range(num_users)]
    store = publish_vectors(settings, user_ids, rng.standard_normal((num_users, WIDTH), np.float32))
    rows = rng.integers(num_users, size=LOOKED_UP)
    return _Published(store, settings.published_dir, num_users, [user_ids[row] for row in rows], rows)
