"""Draw small logs that lack what logs usually have: people, things, days, side tables, attributes, variety."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.ingest.conversion import TIMESTAMP
from training.ingest.history import History

FIRST = datetime(2026, 2, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000
_STRINGS = pa.list_(pa.string())


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a log is like; equal shapes make equal logs.

    Attributes:
        num_users, num_items, num_events, num_days: Sizes; the last day always has an event.
        when: How events lie in time: spread over the days, all at one instant, or one instant a day.
        who: Who acts: anyone, one user half of the time, everyone once, or everyone on one day alone, so that on each
            day all users are new.
        what: What users interact with: anything, one item half of the time, or each item on one day alone.
        users: Columns of the users' table: no table, none but the id, one value for all, several values, first picks.
        items: Those of the items' table.
        events: Event types and values: clicks alone, ratings with values, or all types.
        sessions: Whether events name their session.
        ids: What ids are like.
        seed: Seed of every draw.
    """

    num_users: int = 30
    num_items: int = 15
    num_events: int = 300
    num_days: int = 12
    when: Literal["spread", "one instant", "one instant a day"] = "spread"
    who: Literal["anyone", "one half", "once", "new every day"] = "anyone"
    what: Literal["anything", "one half", "new every day"] = "anything"
    users: Literal["none", "ids", "constant", "varied", "picks"] = "none"
    items: Literal["none", "ids", "constant", "varied"] = "none"
    events: Literal["clicks", "ratings", "all"] = "clicks"
    sessions: bool = False
    ids: Literal["plain", "256 bytes", "accents", "quotes and spaces"] = "plain"
    seed: int = 0


def shapes() -> st.SearchStrategy[Shape]:
    """Return a strategy of logs, each lacking something."""
    return st.builds(
        Shape,
        num_users=st.sampled_from((30, 1, 2, 5, 60, 120)),
        num_items=st.sampled_from((15, 1, 2, 5, 60)),
        num_events=st.sampled_from((300, 1, 2, 10, 60, 1000)),
        num_days=st.sampled_from((12, 1, 2, 8, 9, 30)),
        when=st.sampled_from(("spread", "one instant", "one instant a day")),
        who=st.sampled_from(("anyone", "one half", "once", "new every day")),
        what=st.sampled_from(("anything", "one half", "new every day")),
        users=st.sampled_from(("none", "ids", "constant", "varied", "picks")),
        items=st.sampled_from(("none", "ids", "constant", "varied")),
        events=st.sampled_from(("clicks", "ratings", "all")),
        sessions=st.booleans(),
        ids=st.sampled_from(("plain", "256 bytes", "accents", "quotes and spaces")),
        seed=st.integers(0, 3),
    )


def make(shape: Shape) -> History:
    """Return the log of a shape."""
    rng = np.random.default_rng(shape.seed)
    day, stamps = _times(shape, rng)
    users = [_named("u", n, shape.ids) for n in range(shape.num_users)]
    items = [_named("i", n, shape.ids) for n in range(shape.num_items)]
    who, what = _actors(shape, day, rng), _targets(shape, day, rng)
    columns: dict[str, Any] = {
        "user_id": [users[n] for n in who],
        "item_id": [items[n] for n in what],
        "event_type": pa.array(_event_types(shape, len(day), rng), pa.string()),
        "occurred_at": pa.array(stamps).cast(TIMESTAMP),
    }
    if shape.events == "ratings":
        columns["event_value"] = rng.integers(1, 6, len(day)).astype(np.float64)
    if shape.sessions:
        columns["session_id"] = [f"s{n // 3}" for n in range(len(day))]
    return History(
        source=str(shape), interactions=pa.table(columns), users=_users(shape, users), items=_items(shape, items)
    )


def _times(shape: Shape, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the day number and the instant, in µs, of each event in order; the last event is on the last day."""
    count = shape.num_users if shape.who == "once" else shape.num_events
    day = np.sort(rng.integers(0, shape.num_days, count))
    day[-1] = shape.num_days - 1
    if shape.when == "one instant":
        day[:] = shape.num_days - 1
    within = np.full(count, _DAY_US // 2) if shape.when != "spread" else rng.integers(0, _DAY_US, count)
    stamps = np.sort(int(FIRST.timestamp() * 1e6) + day * _DAY_US + within)
    return day, stamps


def _actors(shape: Shape, day: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    if shape.who == "once":
        return np.arange(len(day))
    drawn = _drawn(shape.num_users, shape.num_days, day, rng, renewed=shape.who == "new every day")
    return np.where(rng.random(len(day)) < 0.6, 0, drawn) if shape.who == "one half" else drawn


def _targets(shape: Shape, day: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    drawn = _drawn(shape.num_items, shape.num_days, day, rng, renewed=shape.what == "new every day")
    return np.where(rng.random(len(day)) < 0.6, 0, drawn) if shape.what == "one half" else drawn


def _drawn(
    num: int, num_days: int, day: NDArray[np.int64], rng: np.random.Generator, *, renewed: bool
) -> NDArray[np.int64]:
    """Return numbers below `num`; where renewed, each belongs to one day as far as there are enough of them."""
    if not renewed:
        return rng.integers(0, num, len(day))
    first = day * num // num_days
    share = np.maximum((day + 1) * num // num_days - first, 1)
    return np.minimum(first + rng.integers(0, 1_000_000, len(day)) % share, num - 1)


def _event_types(shape: Shape, count: int, rng: np.random.Generator) -> list[str]:
    kinds = {"clicks": ["click"], "ratings": ["rating"], "all": ["view", "click", "play", "like", "save", "purchase"]}
    names = kinds[shape.events]
    return [names[n] for n in rng.integers(0, len(names), count)]


def _users(shape: Shape, users: list[str]) -> pa.Table | None:
    if shape.users == "none":
        return None
    columns: dict[str, Any] = {"user_id": pa.array(users, pa.string())}
    if shape.users == "constant":
        columns["country"] = ["FI"] * len(users)
    if shape.users in ("varied", "picks"):
        columns["country"] = [("FI", "PT", "KE")[n % 3] for n in range(len(users))]
    if shape.users == "picks":
        picks = [[_named("i", n % shape.num_items, shape.ids)] if n % 2 else [] for n in range(len(users))]
        columns["onboarding_item_ids"] = pa.array(picks, _STRINGS)
    return pa.table(columns)


def _items(shape: Shape, items: list[str]) -> pa.Table | None:
    if shape.items == "none":
        return None
    columns: dict[str, Any] = {"item_id": pa.array(items, pa.string())}
    if shape.items == "constant":
        columns["category"] = ["all"] * len(items)
    if shape.items == "varied":
        columns["category"] = [f"c{n % 4}" for n in range(len(items))]
        columns["title"] = [f"story {n % 5} of {n}" for n in range(len(items))]
    return pa.table(columns)


def _named(kind: str, number: int, ids: str) -> str:
    forms: dict[str, Callable[[str], str]] = {
        "plain": lambda name: name,
        "256 bytes": lambda name: name + "x" * (256 - len(name)),
        "accents": lambda name: f"{name} Ünïcødé 雪 🎿",
        "quotes and spaces": lambda name: f'"{name}" isn\'t, a ; b | c \\ %',
    }
    return forms[ids](f"{kind}{number:03d}")
