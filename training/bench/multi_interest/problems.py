"""Cut logs for the multi-interest study: ComiRec's split of users, and the project's split of time.

ComiRec (Cen et al., KDD 2020): users 8:1:1; all rows of training users are learned from; of the others the first 80 %
are read and the rest are the targets. Items of the read part are left out of the lists, as everywhere.

Shape legend: U users, I items, E width of an item's features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from training.arrays import Floats, Indices
from training.bench.shared.logs import PublicLog
from training.bench.shared.tasks import Problem, Task, make_problem
from training.contracts.partitions import Partition
from training.data.pair_log import PairLog
from training.ingest.catalogue import item_ids, user_ids
from training.ingest.simulator import truth_dir
from training.ingest.world import World
from training.ranking.cut import Cut
from training.representation.content import ContentEncoder, item_tokens
from training.settings import Settings

READ_SHARE = 0.8
CONTENT_WIDTH = 64
INTEREST_SHARE = 0.1
"""Share of a user's attention from which a cluster counts as one of the user's interests."""


@dataclass(frozen=True)
class Truth:
    """What a simulated user really likes.

    Attributes:
        interests_UC: bool[U, C], whether a cluster is one of the user's interests when the test begins.
        cluster_I: int64[I], the cluster of each item; -1 for items outside the catalogue.
    """

    interests_UC: np.ndarray
    cluster_I: Indices


@dataclass(frozen=True)
class InterestProblem:
    """A data set under a protocol.

    Attributes:
        data, protocol: As tables print them; the protocol is "comirec" or "temporal".
        content_hash: Of the data.
        learn_from: Rows that are learned from when choosing.
        validation: What is read of the validation users, and their targets.
        test: What is read of the test users, and their targets.
        refit: Rows to learn from anew for the test; None tests what was chosen as it is.
        features_IE: float32[I, E], content of the items.
        truth: Of simulated users; None else.
    """

    data: str
    protocol: str
    content_hash: str
    learn_from: PairLog
    validation: Cut
    test: Cut
    refit: PairLog | None
    features_IE: Floats
    truth: Truth | None = None

    @property
    def label(self) -> str:
        """As progress lines and file names print it."""
        return f"{self.data} {self.protocol}"


def temporal_problem(public: PublicLog, profile: pd.DataFrame | None, home: Settings | None = None) -> InterestProblem:
    """Return the project's split of time; `home` is that of simulated logs, whose truth is known."""
    problem = make_problem(public, "temporal")
    inner, outer = _over(problem.validation, problem.test), _over(problem.test, problem.test)
    return InterestProblem(
        data=public.name,
        protocol="temporal",
        content_hash=public.content_hash,
        learn_from=inner.known,
        validation=inner,
        test=outer,
        refit=outer.known,
        features_IE=content_features(problem.test.items, profile),
        truth=None if home is None else read_truth(problem, home),
    )


def comirec_problem(public: PublicLog, profile: pd.DataFrame | None, seed: int) -> InterestProblem:
    """Return ComiRec's split: which users are in which part is drawn by `seed`."""
    users, items, log = public.encoded()
    part_U = np.random.default_rng(seed).permutation(np.arange(len(users)) % 10)
    learned = log.where(part_U[log.user_idx] < 8)
    return InterestProblem(
        data=public.name,
        protocol="comirec",
        content_hash=public.content_hash,
        learn_from=learned,
        validation=_read_and_targets(log, learned, part_U, 8),
        test=_read_and_targets(log, learned, part_U, 9),
        refit=None,
        features_IE=content_features(items, profile),
    )


def _read_and_targets(log: PairLog, learned: PairLog, part_U: Indices, part: int) -> Cut:
    """Return learned rows with the first `READ_SHARE` of a part's users, and the rest of those on learned items."""
    place, lengths = rank_within_user(log), log.user_counts()
    early = place < np.floor(READ_SHARE * lengths)[log.user_idx]
    chosen, known_item = part_U[log.user_idx] == part, learned.item_counts()[log.item_idx] > 0
    read = log.where((chosen & early) | (part_U[log.user_idx] < 8))
    return Cut(read, log.where(chosen & ~early & known_item & (read.user_counts() > 0)[log.user_idx]))


def rank_within_user(log: PairLog) -> Indices:
    """Return int64[N]: how many older rows each row's user has."""
    order = np.lexsort((np.arange(len(log)), log.user_idx))
    starts = np.concatenate([[0], np.cumsum(log.user_counts())])[log.user_idx[order]]
    place = np.empty(len(log), np.int64)
    place[order] = np.arange(len(log)) - starts.astype(np.int64)
    return place


def _over(task: Task, whole: Task) -> Cut:
    """Return a task over the users and items of the whole training period."""
    user_rows, item_rows = np.searchsorted(whole.users, task.users), np.searchsorted(whole.items, task.items)
    shape = len(whole.users), len(whole.items)
    known = PairLog.of(user_rows[task.log.user_idx], item_rows[task.log.item_idx], task.log.occurred_at, *shape)
    held = task.held_out.tocoo()
    times = np.full(held.nnz, known.as_of)
    return Cut(known, PairLog.of(user_rows[held.row], item_rows[held.col], times, *shape, known.as_of + 1))


def content_features(items: np.ndarray, profile: pd.DataFrame | None) -> Floats:
    """Return float32[I, E]: what the profile says of each item, as the space's content vectors; zeros without one."""
    if profile is None:
        return np.zeros((len(items), 1), np.float32)
    rows = profile.drop_duplicates("item_id").set_index("item_id").reindex([str(item) for item in items])
    texts = rows[["category", "subcategory", "title"]].fillna("unknown")
    lists = [list(value) if isinstance(value, list | np.ndarray) else [] for value in rows["attributes"]]
    tokens = item_tokens(texts.assign(attributes=pd.Series(lists, index=texts.index)))
    return ContentEncoder.learn(tokens, CONTENT_WIDTH, seed=0).encode(tokens)


def profile_of(items: pa.Table | None) -> pd.DataFrame | None:
    """Return item_id, category, subcategory, title and attributes of a table of items; None without one."""
    if items is None:
        return None
    frame = items.to_pandas()
    missing: Mapping[str, object] = {"category": "unknown", "subcategory": "unknown", "title": "", "attributes": None}
    return pd.DataFrame(frame.assign(**{name: value for name, value in missing.items() if name not in frame}))


def read_truth(problem: Problem, home: Settings) -> Truth:
    """Return the true interests of a problem's users on the first day of its test."""
    world = World.load(truth_dir(home))
    users = pd.Index(user_ids(world)).get_indexer(pd.Index(problem.test.users))
    items = pd.Index(item_ids(world)).get_indexer(pd.Index(problem.test.items))
    day = world.config.day_number(Partition.parse(problem.test_days[0]))
    interests = world.interests(day)[users] > INTEREST_SHARE
    return Truth(interests, np.where(items >= 0, world.cluster_I[items], -1).astype(np.int64))
