"""Add what real logs suffer from: duplicates, late arrivals, bots, and rows that break the contract."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.contracts.artefacts import Artefact
from training.ingest.world import WorldConfig

_MAX_DAYS_LATE = 3
_BOT_ITEMS = 4
_BROKEN_CELLS: dict[str, tuple[str, str | None]] = {
    "missing_user": ("user_id", None),
    "empty_item": ("item_id", ""),
    "unknown_event_type": ("event_type", "teleport"),
    "future_time": ("occurred_at", "2999-01-01T00:00:00+00:00"),
    "wrong_type_time": ("occurred_at", "yesterday-ish"),
    "wrong_type_value": ("event_value", "many"),
    "conflicting_duplicate": ("item_id", "i-other"),
}
"""Kind of broken row: the column that is spoilt and what it then holds; the last keeps its event_id."""


@dataclass(frozen=True, kw_only=True)
class FaultConfig(Artefact):
    """How dirty the log is.

    Attributes:
        duplicates: Share of events delivered twice within their arrival day.
        redelivered: Share of events delivered again on the next day.
        late: Share of events that arrive one to three days after they occurred.
        num_bots: Accounts that hammer a few items.
        bot_events: Events of a bot on a day on which it is active.
        bot_days: Share of days on which a bot is active.
        broken: Share of events of which a spoilt copy arrives too, for each kind of broken row.
    """

    duplicates: float = 0.01
    redelivered: float = 0.004
    late: float = 0.02
    num_bots: int = 2
    bot_events: int = 400
    bot_days: float = 0.2
    broken: float = 0.0005


def add_faults(events: pd.DataFrame, faults: FaultConfig, world: WorldConfig, rng: np.random.Generator) -> pd.DataFrame:
    """Return the events as they arrive: some twice, some late, bots among them; all keep the contract.

    Args:
        events: Clean events with `arrival_day` (day number).
        faults: How dirty.
        world: The log's days.
        rng: Source of every draw.
    """
    late = rng.random(len(events)) < faults.late
    delay = np.where(late, rng.integers(1, _MAX_DAYS_LATE + 1, len(events)), 0)
    arrived = events.assign(arrival_day=events["arrival_day"] + delay)
    again = arrived[rng.random(len(arrived)) < faults.duplicates]
    tomorrow = arrived[rng.random(len(arrived)) < faults.redelivered]
    tomorrow = tomorrow.assign(arrival_day=tomorrow["arrival_day"] + 1)
    everything = pd.concat([arrived, again, tomorrow, _bots(events, faults, world, rng)], ignore_index=True)
    everything = everything[everything["arrival_day"] < world.num_days]
    return everything.sort_values(["arrival_day", "occurred_at", "event_id"], kind="stable", ignore_index=True)


def broken_rows(events: pd.DataFrame, faults: FaultConfig, rng: np.random.Generator) -> pd.DataFrame:
    """Return spoilt copies of some events, every column as text, with ids of their own (but conflicting ones).

    Args:
        events: Events as they arrive.
        faults: How dirty.
        rng: Source of every draw.
    """
    text = events.astype({"event_value": object}).where(events.notna(), None)
    parts = []
    for kind, (column, cell) in _BROKEN_CELLS.items():
        rows = text[rng.random(len(text)) < faults.broken].copy()
        rows["occurred_at"] = [stamp.isoformat() for stamp in rows["occurred_at"]]
        rows["event_value"] = [None if value is None else str(value) for value in rows["event_value"]]
        if kind != "conflicting_duplicate":
            rows["event_id"] = [f"{event_id}-{kind}" for event_id in rows["event_id"]]
        rows[column] = pd.Series([cell] * len(rows), index=rows.index, dtype=object)
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def _bots(events: pd.DataFrame, faults: FaultConfig, world: WorldConfig, rng: np.random.Generator) -> pd.DataFrame:
    parts = [events.iloc[:0]]
    items = events["item_id"].unique()
    for bot in range(faults.num_bots):
        for day in np.flatnonzero(rng.random(world.num_days) < faults.bot_days):
            size = faults.bot_events
            start = pd.Timestamp(world.first.shift(int(day)).starts_at)
            parts.append(
                pd.DataFrame(
                    {
                        "event_id": [f"bot{bot}-{day}-{n}" for n in range(size)],
                        "user_id": f"bot-{bot:02d}",
                        "item_id": rng.choice(items, _BOT_ITEMS)[rng.integers(_BOT_ITEMS, size=size)],
                        "event_type": "click",
                        "event_value": np.nan,
                        "occurred_at": start + pd.to_timedelta(np.sort(rng.integers(86_400, size=size)), unit="s"),
                        "session_id": None,
                        "surface": None,
                        "arrival_day": int(day),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
