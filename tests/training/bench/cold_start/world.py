"""A MovieLens folder of two groups: women meet the first half of the items, men the second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NUM_USERS, NUM_ITEMS, PER_USER = 60, 30, 6


def write_folder(folder: Path, seed: int = 1) -> Path:
    """Write `u.data`-like interactions and `ml.user` attributes for users 1..60, odd ones women; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    users = ["user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"]
    events = []
    for user in range(1, NUM_USERS + 1):
        woman = user % 2
        users.append(f"{user}\t{24 + user % 3}\t{'F' if woman else 'M'}\twriter\t9{user:04d}")
        first = 1 if woman else 1 + NUM_ITEMS // 2
        for item in rng.choice(NUM_ITEMS // 2, PER_USER, replace=False):
            events.append(f"{user}\t{first + item}\t5\t{int(rng.integers(1, 10_000))}")
    (folder / "ml.user").write_text("\n".join(users) + "\n")
    (folder / "u.data").write_text("\n".join(events) + "\n")
    return folder
