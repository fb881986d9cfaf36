"""Benchmark on simulated logs, whose true preferences say what could be attained at best."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from training.arrays import Floats, Indices
from training.bench.shared.cache import code_hash
from training.bench.shared.homes import own_home
from training.bench.shared.logs import PublicLog, content_hash, read_public_log
from training.bench.shared.rows import Row, average
from training.bench.shared.splits import first_interactions
from training.bench.shared.tasks import Problem
from training.contracts.columns import RAW_INTERACTIONS
from training.contracts.partitions import Partition
from training.evaluation.metrics import Scorer, evaluate
from training.ingest.simulator import SimulatorConfig, TruePreferences, simulate, true_preferences
from training.settings import Settings
from training.storage import PART, list_partitions, write_json

NAME = "simulator"
ATTAINABLE = "true preferences (attainable)"


@dataclass(frozen=True)
class MatrixScorer:
    """Score by a whole matrix float32[U, I]."""

    scores: Floats

    def item_scores(self, user_idx: Indices) -> Floats:
        """Return float32[B, I]."""
        return self.scores[user_idx]

    def user_scores(self, item_idx: Indices) -> Floats:
        """Return float32[B, U]."""
        return self.scores[:, item_idx].T


def simulated_log(settings: Settings, config: SimulatorConfig | None = None) -> tuple[PublicLog, Settings]:
    """Return simulated logs and the home they lie in, simulated there once per seed, configuration and code.

    Broken rows, duplicates of events and users who are no people (bots) are left out: cleaning is not what is measured.
    """
    chosen = config or SimulatorConfig()
    stamp = json.dumps({"seed": settings.seed, "code": code_hash(__name__), **chosen.to_dict()}, sort_keys=True)
    name = f"{NAME}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    own = own_home(settings, name)
    done = own.home / "simulated.json"
    if not done.exists():
        write_json(simulate(own, chosen).to_dict(), done)
    frame = _read(own.raw_dir(RAW_INTERACTIONS.name), set(true_preferences(own).users))
    return PublicLog(NAME, frame, None, content_hash(frame)), own


def benchmarked_logs(settings: Settings, folders: Sequence[Path]) -> list[PublicLog]:
    """Return the logs of some folders, or simulated ones where none is given."""
    return [read_public_log(folder) for folder in folders] or [simulated_log(settings)[0]]


def _read(folder: Path, people: set[str]) -> pd.DataFrame:
    columns = ["user_id", "item_id", "occurred_at"]
    parts = [folder / f"dt={day}" / PART for day in list_partitions(folder)]
    frames = [pq.read_table(path, columns=columns, partitioning=None).to_pandas() for path in parts]
    events = pd.concat(frames, ignore_index=True)
    seconds = events["occurred_at"].dt.as_unit("s").astype("int64")
    events = events.assign(occurred_at=seconds)[events["user_id"].isin(people)]
    return first_interactions(events.sort_values(columns, ignore_index=True))


def attainable_row(problem: Problem, home: Settings) -> Row:
    """Return the line of a ranking by the true P(item | user), averaged over the days of the test period."""
    scorer = _true_scorer(problem, true_preferences(home))
    scores = evaluate(scorer, problem.test.log.matrix, problem.test.held_out, problem.test.k, targeting=False)
    metrics, spread = average([scores], problem.test.k)
    return Row(
        data=problem.data,
        protocol=problem.protocol,
        model=ATTAINABLE,
        family="limit",
        params={},
        seeds=(home.seed,),
        metrics=metrics,
        seed_spread=spread,
        fit_seconds=0.0,
        tune_seconds=0.0,
    )


def _true_scorer(problem: Problem, truth: TruePreferences) -> Scorer:
    days = problem.test_days
    matrices = [truth.matrix(Partition.parse(day)) for day in days]
    mean = np.mean(matrices, axis=0)
    users = pd.Index(truth.users).get_indexer(pd.Index(problem.test.users))
    items = pd.Index(truth.items).get_indexer(pd.Index(problem.test.items))
    assert (users >= 0).all(), "bots were left out"
    known = np.where(items >= 0, mean[np.ix_(users, items)], -1.0)
    return MatrixScorer(np.asarray(known, np.float32))
