"""Draw the events of a simulated world: sessions of users, each on one interest, through the day and the week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.contracts.artefacts import Artefact
from training.ingest.catalogue import item_ids, prices, user_ids
from training.ingest.world import Floats, Ints, World

MICROS_PER_DAY = 86_400_000_000
_EVENT_SHARES = {
    "view": 0.46,
    "click": 0.27,
    "play": 0.08,
    "like": 0.07,
    "save": 0.04,
    "purchase": 0.05,
    "rating": 0.03,
}
_SURFACES = ("home", "search", "recommendations", "email")
_HOURS = {"morning": (8.0, 1.5), "afternoon": (14.0, 2.5), "evening": (20.0, 1.8)}
_SECONDS_BETWEEN_EVENTS = 45.0


@dataclass(frozen=True, kw_only=True)
class TrafficConfig(Artefact):
    """How much happens.

    Attributes:
        sessions_per_day: Mean sessions of a user and day.
        sessions_spread: Standard deviation of its logarithm over users: a few are heavy.
        events_per_session: Mean events of a session.
        weekend_lift: Factor on weekend sessions.
    """

    sessions_per_day: float = 0.32
    sessions_spread: float = 0.9
    events_per_session: float = 4.5
    weekend_lift: float = 1.35


def draw_events(world: World, traffic: TrafficConfig, rng: np.random.Generator) -> pd.DataFrame:
    """Return the events of every day in contract columns, plus `arrival_day` (day number), in time order.

    Args:
        world: Who likes what.
        traffic: How much happens.
        rng: Source of every draw.
    """
    size = world.config.num_users
    spread = traffic.sessions_spread
    rate_U = traffic.sessions_per_day * np.exp(spread * rng.normal(size=size) - spread**2 / 2)
    habit_U = rng.integers(len(_HOURS), size=size)
    days = [_draw_day(world, traffic, rate_U, habit_U, day, rng) for day in range(world.config.num_days)]
    events = pd.concat(days, ignore_index=True).sort_values("occurred_at", kind="stable", ignore_index=True)
    users, items = np.array(user_ids(world), dtype=object), np.array(item_ids(world), dtype=object)
    numbers = pd.Series(np.arange(len(events))).astype(str).str.zfill(8)
    start = int(world.config.first.starts_at.timestamp()) * 1_000_000
    kinds = np.array(list(_EVENT_SHARES), dtype=object)[events["kind"]]
    return pd.DataFrame(
        {
            "event_id": "s" + numbers,
            "user_id": users[events["user"]],
            "item_id": items[events["item"]],
            "event_type": kinds,
            "event_value": _values(world, events, kinds, rng),
            "occurred_at": pd.to_datetime(start + events["occurred_at"], unit="us", utc=True),
            "session_id": "v" + events["session"].astype(str),
            "surface": np.array(_SURFACES, dtype=object)[events["session"] % len(_SURFACES)],
            "arrival_day": events["occurred_at"] // MICROS_PER_DAY,
        }
    )


def _draw_day(
    world: World, traffic: TrafficConfig, rate_U: Floats, habit_U: Ints, day: int, rng: np.random.Generator
) -> pd.DataFrame:
    weekday = world.config.first.shift(day).day.weekday()
    lift = traffic.weekend_lift if weekday >= 5 else 1.0
    num_sessions_U = rng.poisson(rate_U * lift * (world.signup_U <= day))
    user_S = np.repeat(np.arange(len(rate_U)), num_sessions_U)
    lengths_S = rng.geometric(1.0 / traffic.events_per_session, size=len(user_S))
    session_N = np.repeat(np.arange(len(user_S)), lengths_S)
    user_N = user_S[session_N]
    cluster_S = _pick(world.interests(day)[user_S], rng)
    item_N = _draw_items(world, day, user_N, cluster_S[session_N], rng)
    return pd.DataFrame(
        {
            "user": user_N,
            "item": item_N,
            "kind": rng.choice(len(_EVENT_SHARES), size=len(user_N), p=list(_EVENT_SHARES.values())),
            "session": session_N + day * 1_000_000,
            "occurred_at": _times(habit_U[user_S], session_N, day, rng),
        }
    )


def _times(habit_S: Ints, session_N: Ints, day: int, rng: np.random.Generator) -> Ints:
    """Microseconds since the log's start; a late session runs on into the next day."""
    centre, width = np.array(list(_HOURS.values())).T
    hour_S = (centre[habit_S] + width[habit_S] * rng.normal(size=len(habit_S))) % 24
    gap_N = rng.exponential(_SECONDS_BETWEEN_EVENTS, size=len(session_N))
    elapsed_N = np.cumsum(gap_N)
    first_N = np.searchsorted(session_N, session_N)
    seconds_N = day * 86_400 + 3_600 * hour_S[session_N] + elapsed_N - elapsed_N[first_N]
    return np.asarray(seconds_N * 1e6, dtype=np.int64)


def _draw_items(world: World, day: int, user_N: Ints, cluster_N: Ints, rng: np.random.Generator) -> Ints:
    """One item per event: within the session's cluster, or by popularity alone for the share that is noise."""
    active, row_N = np.unique(user_N, return_inverse=True)
    cumulative_AI = np.cumsum(world.within_clusters(day, active), axis=1)
    ends_C = np.searchsorted(world.cluster_I, np.arange(world.config.num_clusters), side="right") - 1
    starts_C = np.searchsorted(world.cluster_I, np.arange(world.config.num_clusters))
    low_N = np.where(starts_C[cluster_N] > 0, cumulative_AI[row_N, starts_C[cluster_N] - 1], 0.0)
    high_N = cumulative_AI[row_N, ends_C[cluster_N]]
    wanted_N = low_N + rng.random(len(user_N)) * (high_N - low_N)
    width = world.config.num_clusters + 1.0
    flat = (cumulative_AI + width * np.arange(len(active))[:, None]).ravel()
    found_N = np.searchsorted(flat, wanted_N + width * row_N, side="right") - row_N * world.config.num_items
    item_N = np.clip(found_N, starts_C[cluster_N], ends_C[cluster_N])
    popular_N = rng.choice(world.config.num_items, size=len(user_N), p=world.popularity(day))
    exists_N = (world.created_I[item_N] <= day) & (rng.random(len(user_N)) >= world.config.noise)
    return np.asarray(np.where(exists_N, item_N, popular_N))


def _pick(share_SC: Floats, rng: np.random.Generator) -> Ints:
    cumulative_SC = np.cumsum(share_SC, axis=1)
    wanted_S1 = rng.random((len(share_SC), 1)) * cumulative_SC[:, -1:]
    return np.asarray((cumulative_SC <= wanted_S1).sum(axis=1), dtype=np.int64)


def _values(world: World, events: pd.DataFrame, kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Price of a purchase, seconds of a play, stars of a rating (higher for items that suit), else null."""
    user_N, item_N = events["user"].to_numpy(), events["item"].to_numpy()
    fit_N = (world.taste_UF[user_N] * world.traits_IF[item_N]).sum(axis=1)
    stars_N = np.clip(np.rint(3.6 + 0.6 * fit_N + 0.7 * rng.normal(size=len(fit_N))), 1, 5)
    seconds_N = np.rint(rng.gamma(2.0, 60.0, size=len(fit_N)))
    choices = [kinds == "purchase", kinds == "play", kinds == "rating"]
    return np.asarray(np.select(choices, [prices(world)[item_N], seconds_N, stars_N], default=np.nan))
