"""Take a benchmark's training period through the real workflow: raw logs, dbt, taste, encoder, user vectors.

What was held out never enters: the home below holds the training pairs alone.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from training.arrays import Floats, Indices
from training.bench.shared.cache import code_hash
from training.bench.shared.homes import own_home
from training.bench.shared.side_tables import SideTables
from training.bench.shared.tasks import Problem
from training.contracts.partitions import Partition
from training.data.dbt import PROJECT_DIR
from training.data.feature_store import FEATURE_REPO
from training.data.vocabulary import Vocabulary
from training.ingest.conversion import TIMESTAMP
from training.ingest.history import ARRIVED_ON, History, write_history
from training.ranking.dataset import EarlierVectors, RankingDataset
from training.settings import Settings
from training.storage import write_json

logger = logging.getLogger(__name__)
LAST_DAYS = 7
"""At least these days arrive one by one; what is before them arrives at once, which no later snapshot can tell."""
VALIDATION_SHARE = 0.1
EVENT_TYPE = "rating"
DONE = "represented.json"
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Represented:
    """What `matching` trains on, and how its rows relate to the problem's.

    Attributes:
        data: Pairs by vocabulary index, with the space's vectors.
        user_rows: int64[U], row of each of the problem's users in `data.users`.
        item_rows: int64[I], row of each of the problem's items in `data.items`.
        seconds: What building the representation took, dbt and the encoder included.
    """

    data: RankingDataset
    user_rows: Indices
    item_rows: Indices
    seconds: float


def represent(settings: Settings, problem: Problem, sides: SideTables) -> Represented:
    """Return the shared representation of a problem's training period, built once per data, code and seed."""
    own = _home_of(settings, problem, sides)
    partition = _last_day(problem)
    done = own.home / DONE
    if not done.exists():
        write_json(_build(own, problem, sides, partition), done)
    facts = json.loads(done.read_text(encoding="utf-8"))
    return _represented(own, problem, partition, facts["space_id"], float(facts["seconds"]))


def seven_day_probe(settings: Settings, problem: Problem, sides: SideTables) -> dict[str, Any] | None:
    """Return how the representation fared on the last seven days of the training period; None before it is built."""
    own = _home_of(settings, problem, sides)
    if not (own.home / DONE).exists():
        return None
    space_id = json.loads((own.home / DONE).read_text(encoding="utf-8"))["space_id"]
    evaluation = json.loads((own.space_dir(space_id) / "evaluation.json").read_text(encoding="utf-8"))
    return dict(evaluation["seven_day"])


def _home_of(settings: Settings, problem: Problem, sides: SideTables) -> Settings:
    code = code_hash(__name__, folders=(PROJECT_DIR, FEATURE_REPO))
    stamp = f"{problem.content_hash}-{sides.content_hash}-{code}-{settings.seed}"
    return own_home(settings, "spaces", f"{problem.label.replace(' ', '_')}-{stamp}")


def _last_day(problem: Problem) -> Partition:
    return Partition(date.fromordinal(date(1970, 1, 1).toordinal() + int(_days(problem)[-1])))


def _earlier_day(problem: Problem) -> Partition:
    """Return the day of the bulk: whole before the newest tenth of rows, so that consumers can validate on it."""
    days = _days(problem)
    first_validated = int(days[int(len(days) * (1 - VALIDATION_SHARE))])
    return _last_day(problem).shift(min(-LAST_DAYS, first_validated - 1 - int(days[-1])))


def _days(problem: Problem) -> Indices:
    return np.asarray(problem.test.log.occurred_at // SECONDS_PER_DAY, np.int64)


def _build(own: Settings, problem: Problem, sides: SideTables, partition: Partition) -> dict[str, object]:
    from training.data.feature_store import apply
    from training.data.warehouse import build, export_features
    from training.ingest.landing import land
    from training.representation.user_encoder import train_space

    started = time.perf_counter()
    logger.info("%s: building the representation as of %s", problem.label, partition)
    write_history(own, _history(problem, sides), "bench")
    for day in (_earlier_day(problem), partition):
        land(own, day)
        build(own, day)
        export_features(own, day)
    apply(own)
    space = train_space(own, partition)
    return {"space_id": space.space_id, "seconds": round(time.perf_counter() - started, 1)}


def _history(problem: Problem, sides: SideTables) -> History:
    """Return the training pairs, and what is told of their users and items: each arrives with its first pair."""
    log, days = problem.test.log, _days(problem)
    arrived = np.maximum(days, (_earlier_day(problem).day - date(1970, 1, 1)).days)
    users, items = _texts(problem.test.users), _texts(problem.test.items)
    pairs = {
        "user_id": pa.array(users[log.user_idx]),
        "item_id": pa.array(items[log.item_idx]),
        "event_type": pa.array([EVENT_TYPE] * len(days)),
        "occurred_at": pa.array(log.occurred_at * 1_000_000).cast(TIMESTAMP),
        ARRIVED_ON: _dates(arrived),
    }
    return History(
        source=problem.label,
        interactions=pa.table(pairs),
        users=_arriving(sides.users, "user_id", users[log.user_idx], arrived),
        items=_arriving(sides.items, "item_id", items[log.item_idx], arrived),
    )


def _arriving(rows: pa.Table | None, key: str, interacted: np.ndarray, arrived: Indices) -> pa.Table | None:
    """Return the rows whose ids are in a log, each arriving with the first of its log's rows, which are in order."""
    if rows is None:
        return None
    first = pd.Series(arrived, index=interacted).groupby(level=0).first().reindex(rows[key].to_pylist())
    kept = rows.filter(pa.array(first.notna().to_numpy()))
    columns = [name for name in kept.column_names if name != "valid_from"]  # it counts from the arrival
    return kept.select(columns).append_column(ARRIVED_ON, _dates(first.dropna().to_numpy()))


def _dates(days: np.ndarray) -> pa.Array:
    return pa.array(days.astype(np.int32)).cast(pa.date32())


def _represented(own: Settings, problem: Problem, partition: Partition, space_id: str, seconds: float) -> Represented:
    users, items = _texts(problem.test.users), _texts(problem.test.items)
    user_ids, item_ids = Vocabulary(users.tolist(), "user_id"), Vocabulary(items.tolist(), "item_id")
    user_rows, item_rows = (
        vocabulary.encode(names.tolist()).astype(np.int64)
        for vocabulary, names in ((user_ids, users), (item_ids, items))
    )
    log, earlier = problem.test.log, _earlier_day(problem)
    data = RankingDataset(
        users=user_ids,
        items=item_ids,
        user_idx=user_rows[log.user_idx].astype(np.int32),
        item_idx=item_rows[log.item_idx].astype(np.int32),
        occurred_at=log.occurred_at,
        z_UZ=_vectors(own, space_id, partition, user_ids),
        item_vectors_IE=_item_vectors(own, space_id, item_ids),
        as_of=int(log.occurred_at[-1]) + 1,
        space_id=space_id,
        earlier=EarlierVectors(as_of=int(earlier.as_of.timestamp()), z_UZ=_vectors(own, space_id, earlier, user_ids)),
    )
    return Represented(data, user_rows, item_rows, seconds)


def _vectors(own: Settings, space_id: str, partition: Partition, users: Vocabulary) -> Floats:
    """Return float32[U, Z]; zero rows for users of whom nothing had arrived by the partition."""
    from training.representation.user_space import ensure_embeddings, read_embedding_file

    return users.aligned(*read_embedding_file(ensure_embeddings(own, space_id, partition)))


def _item_vectors(own: Settings, space_id: str, items: Vocabulary) -> Floats:
    from training.representation.item_space import load_item_space
    from training.representation.user_space import UserSpace

    space = load_item_space(own, UserSpace.load(own, space_id).ref.item_space_id)
    return items.aligned(space.item_ids, space.vectors())


def _texts(ids: np.ndarray) -> np.ndarray:
    return np.array([str(one) for one in ids.tolist()], dtype=object)
