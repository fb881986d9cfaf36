"""Measure what events of the day are worth: rankings by the vector of the day's start, and by the stream's after each.

One space is trained as of the day before the first judged day, and no later one. Each judged day begins with the daily
vectors of its start: the space's encoder on the features of all that had arrived. Then the day's events are taken in
by what a stream worker runs (`stream.state`, `stream.features`, `stream.view`), and each user's next items are ranked
before they come. All vectors are read by one light model, the frame's (`frame_reader.fit_reader`), fitted on vectors of
a week before the first judged day and on what users met in that week. `matching` would not do: it reads a history of
items besides the space's vector, and a known user's ranking by it is the day's, with or without a stream.

Whom: users who had any event by the day's start. What is judged, and how: `freshness_moments`. Days: of simulated logs
the last `SIMULATED_DAYS`; of public ones the last seven in a row on each of which at least `MIN_USERS` users
who came on an earlier day have events at two or more times. Where a log says which times are interpolated, only events
count whose neighbours of known time lie on the same day; the others of a judged day are neither streamed nor judged.

Shape legend: U users, S judged moments, Z latent columns.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from serving_export.bench.frame import CONFIG, FIRST_DAY, history_of, prepare
from serving_export.bench.freshness_moments import (
    DAY_S,
    METRICS,
    Moments,
    dense_days,
    first_met,
    known_days,
    moments_of,
    score_moments,
)
from serving_export.bench.freshness_table import table
from serving_export.stream.state import Event, State, ViewKey
from serving_export.stream.view import View, Views
from training.arrays import Floats
from training.bench.quality.report import write_table
from training.bench.shared.homes import own_home
from training.bench.shared.logs import read_public_log
from training.bench.shared.side_tables import read_side_tables
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.data.interactions import read_interactions
from training.evaluation.light_model import LightModel
from training.ingest.history import write_history
from training.ingest.simulator import SimulatorConfig, simulate
from training.ingest.world import WorldConfig
from training.representation.fit import UserEncoderConfig
from training.representation.frame_reader import HORIZON_DAYS, ensure_label_week, fit_reader
from training.representation.item_space import ItemSpace, load_item_space
from training.representation.rows import ensure_snapshot, read_snapshot
from training.representation.user_encoder import train_space
from training.representation.user_space import UserSpace
from training.settings import Settings

logger = logging.getLogger(__name__)
SIMULATED_DAYS = 3
PUBLIC_DAYS = 7
MIN_USERS = 20
_COLUMNS = ("event_id", "user_id", "item_id", "event_type", "event_value", "occurred_at", "arrived_at", "session_key")


@dataclass(frozen=True)
class Delivered:
    """What was delivered to the benchmark's home.

    Attributes:
        days: The judged days.
        pairs: User and item of the events whose day is known; None where every day is.
    """

    days: list[Partition]
    pairs: pd.MultiIndex | None = None


@dataclass(frozen=True)
class Ranker:
    """A trained space, the vectors of its items, and the light model that reads both."""

    reader: LightModel
    space: UserSpace
    items: ItemSpace

    def vectors(self, settings: Settings, partition: Partition) -> tuple[pd.Index, Floats]:
        """Return the users with any event as of a partition, and their vectors, float32 [U, Z]."""
        ensure_snapshot(settings, partition, self.items.item_space_id)
        rows = read_snapshot(settings, partition, self.items.item_space_id)
        rows = rows[rows["count_events_all"] > 0].reset_index(drop=True)
        return pd.Index(rows["user_id"]), self.space.encode(rows)


def run_freshness(settings: Settings, folder: Path | None = None) -> str:
    """Return a Markdown table of rankings by vectors of three ages.

    It is written to `home/reports/bench` too, from where `python -m training.bench readme` takes it into the page.

    Args:
        settings: Its home holds the benchmark's own home below it.
        folder: Public logs; None simulates them.
    """
    name = folder.name if folder else "simulator"
    own = own_home(settings, "freshness", name)
    delivered = _simulated(own) if folder is None else _public(own, folder)
    prepare(own, [day.shift(-1) for day in delivered.days], delivered.days[-1])
    return write_table(settings, f"{name}_freshness", table(name, measure(own, delivered), settings.seed))


def measure(settings: Settings, delivered: Delivered, config: UserEncoderConfig = CONFIG) -> pd.DataFrame:
    """Train a space before the first judged day, and return what `judge_days` does."""
    return judge_days(settings, fit_ranker(settings, delivered.days[0].shift(-1), config), delivered)


def fit_ranker(settings: Settings, partition: Partition, config: UserEncoderConfig) -> Ranker:
    """Train a space as of a partition, and fit a reader of it.

    Raises:
        AttuneError: The week before has too few first meetings to fit a reader on.
    """
    ref = train_space(settings, partition, config=config)
    space = UserSpace.load(settings, ref.space_id)
    ensure_label_week(settings, partition, [space])
    reader = fit_reader(settings, space, partition)
    if reader is None:
        raise AttuneError(f"expected first meetings of the week up to {partition}, found too few; bring a longer log")
    return Ranker(reader, space, load_item_space(settings, ref.item_space_id))


def judge_days(settings: Settings, ranker: Ranker, delivered: Delivered) -> pd.DataFrame:
    """Stream the judged days, and rank at each moment.

    Returns:
        One row per judged moment and metric: day, user_id, metric, and its value by each of `freshness_table.VECTORS`;
        NaN for a week-old vector of a user who was not known then.
    """
    views, found = Views(settings), []
    with tempfile.TemporaryDirectory(dir=settings.home) as folder, closing(State(Path(folder) / "0" / "0.db")) as state:
        for day in delivered.days:
            view = views.open(ViewKey(ranker.space.ref.space_id, str(day.shift(-1)), ""))
            found.append(_judge(settings, ranker, view, state, day, delivered.pairs))
            logger.info(
                "%s: %d moments of %d users", day, len(found[-1]) // len(METRICS), found[-1]["user_id"].nunique()
            )
    return pd.concat(found, ignore_index=True)


def _judge(
    settings: Settings, ranker: Ranker, view: View, state: State, day: Partition, pairs: pd.MultiIndex | None
) -> pd.DataFrame:
    """Return the metrics of each moment of a day by each vector."""
    log = read_interactions(settings, day, _COLUMNS)
    known, daily_UZ = ranker.vectors(settings, day.shift(-1))
    log = log[log["user_id"].isin(known)]
    today = (log["occurred_at"] >= day.starts_at) & (log["arrived_at"] >= day.starts_at)
    events = log[today]
    if pairs is not None:
        events = events[pd.MultiIndex.from_frame(events[["user_id", "item_id"]]).isin(pairs)]
    moments = moments_of(log[log["arrived_at"] < day.starts_at], events, ranker.items.item_ids)
    users = pd.Index(moments.user_id)
    ranked = {
        "same for everyone": np.repeat(ranker.reader.centre_R.numpy()[None], len(users), axis=0),
        "a week old": _rows_of(*ranker.vectors(settings, day.shift(-1 - HORIZON_DAYS)), users),
        "daily": _rows_of(known, daily_UZ, users),
        "after each event": _streamed(view, state, day, moments),
    }
    items_IV = ranker.items.vectors()
    scores = {name: score_moments(ranker.reader, found_SZ, items_IV, moments) for name, found_SZ in ranked.items()}
    about = {"day": str(day), "user_id": moments.user_id}
    frames = [pd.DataFrame({**about, "metric": m, **{name: of[m] for name, of in scores.items()}}) for m in METRICS]
    return pd.concat(frames, ignore_index=True)


def _rows_of(known: pd.Index, vectors_UZ: Floats, users: pd.Index) -> Floats:
    """Return vectors of users, float32 [S, Z]; NaN for whoever is not known."""
    rows = known.get_indexer(users)
    return np.where((rows >= 0)[:, None], vectors_UZ[rows], np.float32(np.nan))


def _streamed(view: View, state: State, day: Partition, moments: Moments) -> Floats:
    """Return each moment's user's vector as of just before, after all that they did earlier on the day."""
    found_SZ = np.full((len(moments.user_id), view.space.width), np.nan, np.float32)
    rows = pd.Series(np.arange(len(moments.user_id)), [moments.user_id, moments.number])
    for number, events in _rounds(day, moments.events):
        with state.transaction():
            state.add_events(events)
        view.features.take(state, events)
        at = pd.MultiIndex.from_product([sorted({event.user_id for event in events}), [number + 1]])
        at = at[at.isin(rows.index)]
        users = list(at.get_level_values(0))
        for place, row in zip(rows[at], view.rows(state, users), strict=True):
            found_SZ[place] = np.frombuffer(row.vector, np.float32)
    return found_SZ


def _rounds(day: Partition, events: pd.DataFrame) -> Iterator[tuple[int, list[Event]]]:
    """Yield every user's first events of the day, then their second ones, and so on."""
    for number, some in events.groupby("moment"):
        at = some["occurred_at"].astype("datetime64[us, UTC]").astype(np.int64)
        cells = zip(some["event_id"], some["user_id"], some["item_id"], some["event_type"], at, some["session_key"],
                    strict=True)  # fmt: skip
        yield (
            int(str(number)),
            [
                Event(event, user, item, kind, None, when, session, None, str(day), str(day))
                for event, user, item, kind, when, session in cells
            ],
        )


def _simulated(settings: Settings) -> Delivered:
    world = WorldConfig(num_days=FIRST_DAY + SIMULATED_DAYS)
    simulate(settings, SimulatorConfig(world=world))
    last = Partition.parse(world.last_day)
    return Delivered([last.shift(back) for back in range(1 - SIMULATED_DAYS, 1)])


def _public(settings: Settings, folder: Path) -> Delivered:
    """Write a log up to its last dense week."""
    log = read_public_log(folder).frame
    known = log[known_days(log)]
    days = [Partition(date.fromordinal(date(1970, 1, 1).toordinal() + day)) for day in _last_week(log, known)]
    log = log[log["occurred_at"] < days[-1].as_of.timestamp()]
    write_history(settings, history_of(log, read_side_tables(folder)), "bench")
    names = ["user_id", "item_id"]
    return Delivered(days, pd.MultiIndex.from_frame(known[names].astype(str)) if len(known) < len(log) else None)


def _last_week(log: pd.DataFrame, known: pd.DataFrame) -> Sequence[int]:
    came = first_met(log)
    returned = known[known["occurred_at"] // DAY_S > known["user_id"].map(came)]
    return dense_days(returned, PUBLIC_DAYS, MIN_USERS)
