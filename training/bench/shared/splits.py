"""Cut a log into training and held-out pairs: by time, or each user's last; validation is cut the same way.

Frames hold `user_id`, `item_id`, `occurred_at` (any ordered type), in time order and, within a user, in that user's
own order. An optional `exact` column (1 = the time was observed, else interpolated between observed ones) makes the
temporal cut drop the pairs whose side cannot be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from training.contracts.errors import AttuneError

Protocol = Literal["temporal", "loo"]
TRAIN_SHARE = 0.8
INNER_TRAIN_SHARE = 0.9


@dataclass(frozen=True)
class Split:
    """Pairs to learn from and pairs to be judged by; no pair is in both, and every held-out id occurs in `train`."""

    train: pd.DataFrame
    test: pd.DataFrame


def first_interactions(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per distinct (user, item), its first, in time order; ties keep user, then the given order.

    Adds `position`, the row's number within its user, when the frame does not bring one.
    """
    if "position" not in frame:
        frame = frame.assign(position=frame.groupby("user_id").cumcount())
    ordered = frame.sort_values(["occurred_at", "user_id", "position"], kind="stable")
    return ordered.drop_duplicates(["user_id", "item_id"]).reset_index(drop=True)


def split(frame: pd.DataFrame, protocol: Protocol, cut: Any = None) -> Split:
    """Return the outer split of a frame from `first_interactions`: 80 % of time, or each user's last item.

    Args:
        frame: Distinct pairs in time order.
        protocol: "temporal" or "loo".
        cut: Last instant of training; None takes the time of the row at 80 %. Only for "temporal".
    """
    return temporal_split(frame, TRAIN_SHARE, cut) if protocol == "temporal" else leave_last_out(frame)


def inner_split(train: pd.DataFrame, protocol: Protocol) -> Split:
    """Return the validation cut inside a training period: its last tenth of rows by time, or each user's last item."""
    if protocol == "temporal":
        return temporal_split(train.drop(columns="exact", errors="ignore"), INNER_TRAIN_SHARE)
    return leave_last_out(train)


def temporal_split(frame: pd.DataFrame, share: float, cut: Any = None) -> Split:
    """Return what happened up to one instant, inclusive, and what happened later to ids known by then.

    Args:
        frame: Distinct pairs in time order.
        share: Share of rows, in (0, 1), whose last one gives the instant.
        cut: The instant itself, overriding `share`.

    Raises:
        AttuneError: The frame is too short to have an earlier part.
    """
    last = int(len(frame) * share) - 1
    if last < 0:
        raise AttuneError(f"expected at least {int(np.ceil(1 / share))} pairs to split, found {len(frame)}; bring more")
    cut = frame["occurred_at"].iloc[last] if cut is None else cut
    earlier, later = _sides(frame, cut)
    return Split(earlier, _known(earlier, later))


def _sides(frame: pd.DataFrame, cut: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    if "exact" not in frame:
        early = frame["occurred_at"] <= cut
        return frame[early], frame[~early]
    by_user = frame.sort_values(["user_id", "position"])
    observed = by_user["occurred_at"].where(by_user["exact"] == 1)
    before, after = observed.groupby(by_user["user_id"]).ffill(), observed.groupby(by_user["user_id"]).bfill()
    earlier, later = by_user.index[after <= cut].sort_values(), by_user.index[before > cut].sort_values()
    return frame.loc[earlier], frame.loc[later]


def leave_last_out(frame: pd.DataFrame) -> Split:
    """Return every user's last pair held out, where its item and user still occur in the rest."""
    last = frame.sort_values(["user_id", "occurred_at", "position"]).groupby("user_id").tail(1).index
    train = frame.drop(last)
    return Split(train, _known(train, frame.loc[last]))


def _known(train: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    known_users, known_items = set(train["user_id"]), set(train["item_id"])
    return held_out[held_out["user_id"].isin(known_users) & held_out["item_id"].isin(known_items)]
