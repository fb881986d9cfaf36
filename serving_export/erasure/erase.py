"""Erase users from everything below a home: at once from every answer, then from every file, with a proof at the end.

Each step may be cut short and is taken again whole; nothing is done twice, since what is gone is not found again. A
request is closed only when nothing names its users any more.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving_export.erasure import requests
from serving_export.erasure.days import erase_days, late_arrivals
from serving_export.erasure.files import ERASURE, erase_in_home, find_in_home
from serving_export.erasure.online import erase_online, find_online, serve_renamed
from serving_export.erasure.people import People
from serving_export.erasure.snapshots import erase_snapshots
from serving_export.erasure.stream import erase_entries, erase_overlay, find_entries, forget_batches
from serving_export.retention import remove_folder
from training.contracts.errors import AttuneError
from training.contracts.tombstones import TombstoneFile
from training.data.derived_lock import free_to_remove
from training.locks import lease
from training.representation.frame import forget_anchors
from training.settings import Settings
from training.storage import folders

logger = logging.getLogger(__name__)
SUMS = "taste_sums"
RETRAINED = "models that were trained with them are trained again by the next promotion"
_SHOWN = 10
"""Of many places an error names so many."""


def request_erasure(settings: Settings, user_ids: list[str], reason: str) -> dict[str, Any]:
    """Make users unreadable in every answer, online ones included, and leave the rest to the next run.

    Returns:
        The `request_id`, `num_users` that it names, and `note`.

    Raises:
        AttuneError: Nobody or no reason is named.
    """
    request = requests.file_request(settings, user_ids, reason)
    users = frozenset(request.user_ids)
    erase_online(settings, users)
    erase_overlay(settings, users)
    return {"request_id": request.request_id, "num_users": len(request.user_ids), "note": RETRAINED}


def carry_out(settings: Settings) -> dict[str, Any]:
    """Take the users of every request that is not done out of everything, and prove that they are gone.

    Rows of users who were erased before and have come again go from raw.

    Returns:
        `requests` and `users` done, the rows or mentions `removed` by store, and `late` rows taken out of raw.

    Raises:
        AttuneError: Something names one of them still; the request stays, and the next run goes on.
    """
    with lease(settings, settings.home / ERASURE / ".lock"):
        late = _erase_late(settings)
        waiting = requests.pending(settings)
        users = frozenset(user for request in waiting for user in request.user_ids)
        removed = _erase(settings, users) if users else Counter[str]()
        if users:
            _require_gone(settings, users)
        for request in waiting:
            requests.close(settings, request, removed)
    done = {"requests": len(waiting), "users": len(users), "removed": dict(removed), "late": late}
    return {**done, "note": RETRAINED if users else ""}


def verify(settings: Settings, user_ids: list[str]) -> dict[str, list[str]]:
    """Return every place that names one of the users; empty is the proof.

    A place is a file by its path below the home, "online store", or "stream" for entries that no worker has taken in.

    It reads each file of the home whole: Parquet, DuckDB, SQLite, NumPy, zip and gzip decoded, all else byte for byte.
    """
    users = frozenset(user_ids)
    found = find_in_home(settings, People(users))
    found |= {"online store": find_online(settings, users), "stream": find_entries(settings, People(users))}
    return {name: places for name, places in found.items() if places}


def _erase(settings: Settings, users: frozenset[str]) -> Counter[str]:
    """Take users out of every store, the sources first: what is derived from them is then derived without them."""
    people = People(users)
    requests.bury(settings, users)
    removed = Counter(erase_days(settings, people))
    removed[SUMS] += _forget_sums(settings, people)
    renamed = erase_snapshots(settings, users)
    removed["published"] += len(renamed)
    erase_online(settings, users)
    serve_renamed(settings, renamed)
    removed["stream"] += erase_entries(settings, people)
    erase_overlay(settings, users)
    removed["frames"] += forget_anchors(settings, users)
    removed.update(erase_in_home(settings, people, _is_of_another_step))
    removed["published"] += forget_batches(settings, people)
    return +removed


def _is_of_another_step(name: Path) -> bool:
    return name.parts[0] in (SUMS, "published", "warehouse") and name.suffix in (".npy", ".duckdb", ".json")


def _forget_sums(settings: Settings, people: People) -> int:
    """Remove the running sums that hold one of the users: they are a cache, and are summed again without them."""
    states = settings.home.glob(f"{SUMS}/*/*/state.json")
    found = [state.parent for state in states if people.ids & set(json.loads(state.read_bytes())["user_ids"])]
    found += [hidden for parent in folders(settings.home / SUMS) for hidden in parent.glob(".dt=*")]
    with free_to_remove(settings) as free:
        for folder in found if free else ():
            remove_folder(folder)
    return len(found) if free else 0


def _erase_late(settings: Settings) -> int:
    """Take out of raw what came of users who had been erased, and return how many rows that were."""
    tombstones = TombstoneFile(settings.published_dir).read()
    late = late_arrivals(settings, tombstones)
    counts = (erase_days(settings, People(users), [day]) for day, users in late.items())
    rows = sum(found.get("raw", 0) for found in counts)
    if rows:
        logger.warning("took %d rows out of raw that came of erased users", rows)
    return rows


def _require_gone(settings: Settings, users: frozenset[str]) -> None:
    left = verify(settings, sorted(users))
    if left:
        raise AttuneError(
            f"expected nothing to name the {len(users)} erased users, found {told(left)}; no lookup answers for them, "
            "and their request stays: end what writes there, then run `erase --now`"
        )


def told(places: Mapping[str, list[str]]) -> str:
    """Return places in words, the first of many."""
    named = [f"{name} ({', '.join(found)})" for name, found in places.items()]
    return "; ".join(named[:_SHOWN]) + (f"; and {len(named) - _SHOWN} more" if len(named) > _SHOWN else "")
