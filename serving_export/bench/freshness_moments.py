"""Say at which moments of a day users' next items are ranked, and how well a list of them did.

A moment is a time at which a user has events; of events at one time none is the later. It is judged when the user has
had an earlier moment on that day and meets an item for the first time: a known one that is neither in the user's past
nor among what they did earlier on the day. Those first-met items are the truth, and every other known item that the
user has not met is ranked against them. What has been met is left out for all vectors alike: without that the stream's
would be punished for finding what was just seen, and the day's would not.

Shape legend: S judged moments, I items, Z latent columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from training.arrays import Doubles, Floats
from training.contracts.errors import AttuneError
from training.evaluation.light_model import LightModel
from training.evaluation.metrics import score_lists, top_k

K = 20
METRICS = ("NDCG@20", "recall@20")
DAY_S = 86_400


@dataclass(frozen=True)
class Moments:
    """What is judged on one day.

    Attributes:
        user_id: Whose moment it is, [S].
        number: Its number among the user's moments of the day, from 1: the first is not judged.
        truth_SI: Items met for the first time, float32.
        seen_SI: Items met before, float32.
        events: The day's events, with `moment`.
    """

    user_id: list[str]
    number: list[int]
    truth_SI: sp.csr_matrix
    seen_SI: sp.csr_matrix
    events: pd.DataFrame


def moments_of(past: pd.DataFrame, events: pd.DataFrame, item_ids: Sequence[str]) -> Moments:
    """Return the judged moments of a day.

    Args:
        past: user_id and item_id of all that was known as the day began.
        events: The day's: user_id, item_id, occurred_at.
        item_ids: The items that are ranked; others are passed over.
    """
    number = events.groupby("user_id")["occurred_at"].rank("dense").astype(int) - 1
    events = events.assign(moment=number, item=pd.Index(item_ids).get_indexer(pd.Index(events["item_id"])))
    past = past[["user_id", "item_id"]].drop_duplicates()
    past = past.assign(item=pd.Index(item_ids).get_indexer(pd.Index(past["item_id"])))
    known = events[events["item"] >= 0].sort_values("moment", kind="stable").drop_duplicates(["user_id", "item"])
    met = pd.MultiIndex.from_frame(known[["user_id", "item"]]).isin(pd.MultiIndex.from_frame(past[["user_id", "item"]]))
    truth = known[~met & (known["moment"] > 0).to_numpy()]
    keys = truth[["user_id", "moment"]].drop_duplicates().sort_values(["user_id", "moment"], ignore_index=True)
    keys["row"] = np.arange(len(keys))
    earlier = keys.merge(known[["user_id", "moment", "item"]], on="user_id", suffixes=("", "_before"))
    earlier = earlier[earlier["moment_before"] < earlier["moment"]]
    before = keys.merge(past[past["item"] >= 0], on="user_id")
    shape = len(keys), len(item_ids)
    return Moments(
        user_id=list(keys["user_id"]),
        number=list(keys["moment"]),
        truth_SI=_matrix(keys.merge(truth, on=["user_id", "moment"]), shape),
        seen_SI=_matrix(pd.concat([earlier, before])[["row", "item"]].drop_duplicates(), shape),
        events=events,
    )


def score_moments(reader: LightModel, vectors_SZ: Floats, items_IV: Floats, moments: Moments) -> dict[str, Doubles]:
    """Return each of `METRICS` of each moment, float64 [S]; NaN where a vector is."""
    rows = np.flatnonzero(~np.isnan(vectors_SZ).any(axis=1))
    lists = top_k(lambda some: reader.item_scores(vectors_SZ[some], items_IV), rows, len(items_IV), K, moments.seen_SI)
    scores = score_lists(rows, lists, moments.truth_SI)
    found = {}
    for metric, values in zip(METRICS, (scores.ndcg(K), scores.recall(K)), strict=True):
        found[metric] = np.full(len(vectors_SZ), np.nan)
        found[metric][rows] = values
    return found


def known_days(log: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return of which events the day is known: their neighbours of observed time, or they themselves, lie on it.

    Args:
        log: user_id, position, occurred_at in seconds, and `exact` where some times are not observed.
    """
    if "exact" not in log:
        return np.ones(len(log), bool)
    ordered = log.sort_values(["user_id", "position"])
    observed = (ordered["occurred_at"] // DAY_S).where(ordered["exact"].astype(bool)).groupby(ordered["user_id"])
    day = ordered["occurred_at"] // DAY_S
    known = (observed.ffill() == day) & (observed.bfill() == day)
    return known.reindex(log.index).to_numpy(bool)


def first_met(log: pd.DataFrame) -> pd.Series:
    """Return by user the day of the first event, days since 1970."""
    return log.groupby("user_id")["occurred_at"].min() // DAY_S


def dense_days(returned: pd.DataFrame, num_days: int, min_users: int) -> list[int]:
    """Return the last days in a row, since 1970, on each of which enough users have events at two or more times.

    Args:
        returned: user_id and occurred_at, in seconds, of users who came on an earlier day.
        num_days: How many.
        min_users: What is enough.

    Raises:
        AttuneError: There are none.
    """
    times = returned.assign(day=returned["occurred_at"] // DAY_S).groupby(["day", "user_id"])["occurred_at"].nunique()
    users = times[times > 1].groupby("day").size()
    dense = set(users[users >= min_users].index)
    for last in sorted(dense, reverse=True):
        days = [int(last) - back for back in range(num_days - 1, -1, -1)]
        if dense.issuperset(days):
            return days
    raise AttuneError(
        f"expected {num_days} days in a row with {min_users} users who return and have events at two times, found at "
        f"most {int(users.max()) if len(users) else 0} on a day; bring a log of more users"
    )


def _matrix(cells: pd.DataFrame, shape: tuple[int, int]) -> sp.csr_matrix:
    ones = np.ones(len(cells), np.float32)
    return sp.csr_matrix((ones, (cells["row"].to_numpy(), cells["item"].to_numpy())), shape=shape)
