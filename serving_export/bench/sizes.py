"""Time opening snapshots and looking up in them as they grow: a lookup should cost the same in all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serving_export.bench.lookups import WIDTH, publish_vectors
from serving_export.lookup import EmbeddingStore
from training.bench.shared.timing import Timing, seconds_each
from training.settings import Settings

logger = logging.getLogger(__name__)
LOOKED_UP = 100


def size_timings(folder: Path, sizes: Sequence[int], seed: int, repeats: int = 5) -> list[Timing]:
    """Return for each number of users a lookup's line, and that of opening the snapshot with every byte verified.

    Args:
        folder: Homes of the benchmark's own lie in it.
        sizes: Users in each snapshot.
        seed: Of the vectors and of who is asked for.
        repeats: Openings to take the median of; ten times as many lookups.
    """
    return [line for size in sizes for line in _lines(folder, size, seed, repeats)]


def _lines(folder: Path, num_users: int, seed: int, repeats: int) -> list[Timing]:
    rng = np.random.default_rng(seed)
    settings = Settings.from_env({"ATTUNE_HOME": str(folder / f"users-{num_users}"), "ATTUNE_SEED": str(seed)})
    user_ids = [f"u{n:07d}" for n in range(num_users)]
    store = publish_vectors(settings, user_ids, rng.standard_normal((num_users, WIDTH), np.float32))
    wanted = [user_ids[row] for row in rng.integers(num_users, size=LOOKED_UP)]
    mapped = store.snapshot.vectors
    files = [path for path in store.snapshot.folder.iterdir() if path.is_file()]
    rows = rng.integers(num_users, size=LOOKED_UP)
    looked_up = seconds_each({"ours": lambda: store.lookup(wanted), "mapped": lambda: mapped[rows]}, 10 * repeats)
    opened = seconds_each(
        {
            "ours": lambda: EmbeddingStore(settings.published_dir).verify(),
            "read": lambda: [path.read_bytes() for path in files],
        },
        repeats,
    )
    logger.info("%d users are measured", num_users)
    return [
        Timing(
            what=f"lookup of {LOOKED_UP} of {num_users:,} users, in process",
            unit="ms",
            ours=1000 * looked_up["ours"],
            limits={"mapped rows of known number": 1000 * looked_up["mapped"]},
        ),
        Timing(
            what=f"opening {num_users:,} users × {WIDTH}, verified",
            unit="s",
            ours=opened["ours"],
            limits={"reading the bytes": opened["read"]},
        ),
    ]
