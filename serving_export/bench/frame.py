"""Retrain day after day and read on: what a fixed frame costs a reader that was fitted on its first day.

Every day's space goes through the product: trained, promoted, published, and read through the lookup. What is left out
is what no vector depends on: the consumers, the twin that a space's own gate is judged by, and the model registry.

Shape legend: U users, I items, Z latent columns, P pairs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from serving_export.lookup import EmbeddingStore
from serving_export.promote import promote_space
from serving_export.refresh import refresh_embeddings
from serving_export.snapshot_writer import Sources
from training.arrays import Floats
from training.bench.quality.report import report_dir
from training.bench.shared.homes import own_home
from training.bench.shared.logs import read_public_log
from training.bench.shared.side_tables import SideTables, read_side_tables
from training.contracts.partitions import Partition
from training.data.feature_store import apply
from training.data.warehouse import build, export_features
from training.evaluation.light_model import LightModel, fit_light_model
from training.evaluation.probe_report import auc
from training.evaluation.probes import PairTask
from training.ingest.conversion import TIMESTAMP
from training.ingest.history import ARRIVED_ON, History, write_history
from training.ingest.landing import land
from training.ingest.simulator import SimulatorConfig, simulate
from training.ingest.world import WorldConfig
from training.representation.fit import UserEncoderConfig
from training.representation.frame import Frame
from training.representation.frame_reader import HORIZON_DAYS, MAX_POSITIVES
from training.representation.item_space import ItemSpace, load_item_space
from training.representation.rows import ensure_snapshot, read_pair_task, read_snapshot
from training.representation.user_encoder import train_space
from training.representation.user_space import UserSpace
from training.reproducible import deterministic
from training.settings import Settings
from training.storage import PART, list_partitions, replace_file, write_json

logger = logging.getLogger(__name__)
FIRST_DAY = 42
"""Days of a simulated log before the first retrain."""
PENALTY = (1e-4,)
CONFIG = UserEncoderConfig(seven_day=False)
FORCED = "a benchmark measures every retrain"
READERS = ("retrained", "framed", "raw", "first encoder")


@dataclass(frozen=True)
class Day:
    """One retrain and what readers make of it.

    Attributes:
        partition: The day.
        auc: By reader, on what users met in the week after.
        residual: Held-out residual of the space's map into the frame; None on the frame's first day.
        carried: Whether the space was carried in the frame.
        warm: Whether its encoder went on from the one before.
        renewed: Whether its item space was learned that day.
    """

    partition: str
    auc: dict[str, float]
    residual: float | None
    carried: bool
    warm: bool
    renewed: bool


def run_frame(settings: Settings, num_days: int, folder: Path | None = None) -> str:
    """Return a Markdown table of `num_days` retrains in a row, on simulated logs or on those of a folder.

    It is written to `home/reports/bench` too, from where `python -m training.bench readme` takes it into the page.
    A run that was cut short goes on with the first day that was not measured.

    Args:
        settings: Its home holds the benchmark's own home below it.
        num_days: Retrains, one a day; the last week of the log is kept for labels.
        folder: Public logs; None simulates them.
    """
    name = folder.name if folder else "simulator"
    own = own_home(settings, "frame", f"{name}-{num_days}")
    last = _deliver(own, num_days, folder)
    days = [last.shift(back - HORIZON_DAYS - num_days + 1) for back in range(num_days)]
    prepare(own, days, last)
    found = table(name, measure(own, days))
    with replace_file(report_dir(settings) / f"{name}_frame.md") as temporary:
        temporary.write_text(found, encoding="utf-8")
    return found


def prepare(settings: Settings, days: Sequence[Partition], last: Partition) -> None:
    """Build the features of every day, of those a week before, and the facts up to the last label."""
    land(settings, last)
    built = set(list_partitions(settings.home / "features" / "user_profile"))
    for day in sorted({day.shift(-back) for day in days for back in (0, HORIZON_DAYS)} | {last}):
        if day not in built or not (settings.features_dir("user_activity", day) / PART).exists():
            build(settings, day)
            export_features(settings, day)
    apply(settings)


def measure(settings: Settings, days: Sequence[Partition], config: UserEncoderConfig = CONFIG) -> list[Day]:
    """Retrain, promote and read on each day that was not measured yet; needs the features that `prepare` builds."""
    found: list[Day] = []
    for day in days:
        kept = settings.home / "retrains" / f"{day}.json"
        if not kept.exists():
            _retrain(settings, day, config)
            write_json(asdict(_read(settings, _first_reader(settings, days[0]), day)), kept)
        found.append(Day(**json.loads(kept.read_text())))
        logger.info("%s %s", day, {name: round(value, 4) for name, value in found[-1].auc.items()})
    return found


def _retrain(settings: Settings, day: Partition, config: UserEncoderConfig) -> None:
    """Train and promote a space; where the frame does not carry it, the one before is refreshed and answers for it."""
    sources = replace(Sources(required=()), announce=lambda *_: None)
    train_space(settings, day, config=config)
    promote_space(settings, day, sources, force=FORCED)
    if not EmbeddingStore(settings.published_dir).snapshot.entry.frame:
        refresh_embeddings(settings, day, sources)


def _first_reader(settings: Settings, first: Partition) -> LightModel:
    frame = EmbeddingStore(settings.published_dir).pointer.frame
    return _fitted(settings, Frame.load(settings, frame).space_id, first)


def table(name: str, days: Sequence[Day]) -> str:
    """Return the lines of each day, and the means of the last seven with what the frame costs."""
    head = "| day | retrained | first-day reader, framed | raw | first day's encoder | frame costs | residual | notes |"
    lines = [f"**{name}**, {len(days)} retrains", "", head, "| --- " * 8 + "|"]
    lines += [_line(str(_age(days[0], day)), day.auc, day.residual, _notes(day)) for day in days]
    last = days[-7:]
    mean = {reader: float(np.mean([day.auc[reader] for day in last])) for reader in READERS}
    return "\n".join([*lines, _line(f"mean of the last {len(last)}", mean, None, "")]) + "\n"


def _age(first: Day, day: Day) -> int:
    """Return how many days after the first a day is: a series of retrains may have gaps."""
    return (Partition.parse(day.partition).day - Partition.parse(first.partition).day).days


def _line(what: str, found: dict[str, float], residual: float | None, notes: str) -> str:
    cost = found["framed"] / found["first encoder"] - 1
    cells = [what, *(f"{found[reader]:.4f}" for reader in READERS), f"{cost:+.2%}"]
    return "| " + " | ".join([*cells, "" if residual is None else f"{residual:.3f}", notes]) + " |"


def _notes(day: Day) -> str:
    told = {"cold": not day.warm, "item space renewed": day.renewed, "not carried": not day.carried}
    return ", ".join(note for note, holds in told.items() if holds)


def _deliver(settings: Settings, num_days: int, folder: Path | None) -> Partition:
    """Write the raw logs and return their last day; of public logs, a week after four fifths of the rows."""
    if folder is None:
        world = WorldConfig(num_days=FIRST_DAY + num_days + HORIZON_DAYS)
        simulate(settings, SimulatorConfig(world=world))
        return Partition.parse(world.last_day)
    log = read_public_log(folder).frame
    seconds = log["occurred_at"].to_numpy(np.int64)
    middle = datetime.fromtimestamp(int(np.quantile(seconds, 0.8, method="lower")), UTC)
    last = Partition(middle.date()).shift(HORIZON_DAYS)
    log = log[seconds < last.as_of.timestamp()]
    write_history(settings, history_of(log, read_side_tables(folder)), "bench")
    return last


def history_of(log: pd.DataFrame, sides: SideTables) -> History:
    """Return the pairs of a log, each arriving on its day; what is told of users and items arrives on the first."""
    times = pa.array(log["occurred_at"].to_numpy(np.int64) * 1_000_000).cast(TIMESTAMP)
    arrived = times.cast(pa.timestamp("s", "UTC")).cast(pa.date32())
    pairs = {
        "user_id": pa.array(log["user_id"].astype(str)),
        "item_id": pa.array(log["item_id"].astype(str)),
        "event_type": pa.array(["rating"] * len(log)),
        "occurred_at": times,
        ARRIVED_ON: arrived,
    }
    tables = {
        name: None if rows is None else rows.append_column(ARRIVED_ON, pa.array([arrived[0].as_py()] * len(rows)))
        for name, rows in (("users", sides.users), ("items", sides.items))
    }
    return History(source="bench", interactions=pa.table(pairs), **tables)


def _fitted(settings: Settings, space_id: str, day: Partition) -> LightModel:
    """Return the reader that a space's own vectors of a week ago and the week since teach."""
    space = UserSpace.load(settings, space_id)
    items = load_item_space(settings, space.ref.item_space_id)
    anchor = day.shift(-HORIZON_DAYS)
    ensure_snapshot(settings, anchor, items.item_space_id)
    frame = read_snapshot(settings, anchor, items.item_space_id)
    task = read_pair_task(settings, anchor, day, frame, items, MAX_POSITIVES)
    with deterministic(settings.seed):
        pairs = (task.user_idx, task.item_idx, task.label)
        return fit_light_model(*pairs, space.encode(frame), items.vectors(), settings.seed, PENALTY)


def _read(settings: Settings, reader: LightModel, day: Partition) -> Day:
    store = EmbeddingStore(settings.published_dir)
    space, frame = UserSpace.load(settings, store.space_id), Frame.load(settings, store.pointer.frame)
    own_items = load_item_space(settings, space.ref.item_space_id)
    first = UserSpace.load(settings, frame.space_id)
    for item_space_id in sorted({space.ref.item_space_id, first.ref.item_space_id}):
        ensure_snapshot(settings, day, item_space_id)
    rows = read_snapshot(settings, day, space.ref.item_space_id)
    task = read_pair_task(settings, day, day.shift(HORIZON_DAYS), rows, own_items, MAX_POSITIVES)
    users = list(rows["user_id"])
    kept_alive = first.encode(read_snapshot(settings, day, first.ref.item_space_id))
    served: dict[str, Callable[[], Floats]] = {
        "framed": lambda: store.lookup(users, frame=frame.frame_id).vectors,
        "raw": lambda: store.lookup(users).vectors,
        "first encoder": lambda: kept_alive,
    }
    vectors_IE = _served_items(store, frame.frame_id, own_items)
    found = {name: _auc(reader, task, look_up(), vectors_IE) for name, look_up in served.items()}
    own = _fitted(settings, store.space_id, day)
    found["retrained"] = _auc(own, task, store.lookup(users).vectors, own_items.vectors())
    figures = frame.figures_of(space.ref.space_id) or {}
    return Day(
        partition=str(day),
        auc=found,
        residual=figures.get("residual"),
        carried=store.snapshot.entry.frame == frame.frame_id,
        warm=json.loads((space.folder / "manifest.json").read_text())["warm_started"],
        renewed=own_items.partition == str(day),
    )


def _served_items(store: EmbeddingStore, frame_id: str, items: ItemSpace) -> Floats:
    """Return framed vectors of an item space's items, float32 [I, E]; zero rows for those that the frame lacks."""
    found = store.lookup_items(frame_id, items.item_ids)
    rows = pd.Index(items.item_ids).get_indexer(pd.Index(found.item_ids))
    vectors = np.zeros((len(items.item_ids), found.vectors.shape[1]), np.float32)
    vectors[rows] = found.vectors
    return vectors


def _auc(reader: LightModel, task: PairTask, users_UZ: Floats, items_IE: Floats) -> float:
    return auc(reader.score(task.user_idx, task.item_idx, users_UZ, items_IE), task.label)
