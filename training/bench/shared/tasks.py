"""Turn a log and a protocol into matrices over contiguous indices: once for tuning, once for the test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from training.bench.shared.logs import PublicLog
from training.bench.shared.splits import Protocol, Split, inner_split, split
from training.evaluation.peers.log import TrainingLog

CUT_AT: dict[Protocol, int] = {"temporal": 20, "loo": 10}
"""Length of the lists that each protocol judges."""


@dataclass(frozen=True)
class Task:
    """One training log and what was held out of it.

    Attributes:
        users: The U external user ids of the log, ascending: index to id.
        items: The I external item ids of the log, ascending.
        log: The training pairs by index.
        held_out: float32[U, I], the held-out pairs.
        k: Length of the lists.
    """

    users: np.ndarray
    items: np.ndarray
    log: TrainingLog
    held_out: sp.csr_matrix
    k: int


@dataclass(frozen=True)
class Problem:
    """A data set under a protocol: choose on `validation`, score `test` once.

    Attributes:
        data: Data set.
        protocol: How it is split.
        content_hash: Of the data; results are cached by it.
        validation: Cut from the training period.
        test: The whole training period and what was held out after it.
        test_days: UTC days of the held-out pairs, ISO, ascending.
    """

    data: str
    protocol: Protocol
    content_hash: str
    validation: Task
    test: Task
    test_days: tuple[str, ...]

    @property
    def label(self) -> str:
        """As progress lines and file names print it."""
        return f"{self.data} {self.protocol}"


def make_problem(public: PublicLog, protocol: Protocol) -> Problem:
    """Return the two tasks of a log; validation is cut from the training period alone."""
    outer = split(public.frame, protocol, public.cut)
    inner = inner_split(outer.train, protocol)
    k = CUT_AT[protocol]
    days = np.unique(outer.test["occurred_at"].to_numpy(np.int64).astype("datetime64[s]").astype("datetime64[D]"))
    return Problem(
        public.name, protocol, public.content_hash, _task(inner, k), _task(outer, k), tuple(days.astype(str).tolist())
    )


def _task(pairs: Split, k: int) -> Task:
    train, test = pairs.train, pairs.test
    users, user_idx = np.unique(train["user_id"].to_numpy(), return_inverse=True)
    items, item_idx = np.unique(train["item_id"].to_numpy(), return_inverse=True)
    log = TrainingLog(len(users), len(items), user_idx, item_idx, train["occurred_at"].to_numpy(np.int64))
    return Task(users, items, log, _matrix(test, users, items), k)


def _matrix(pairs: pd.DataFrame, users: np.ndarray, items: np.ndarray) -> sp.csr_matrix:
    rows = np.searchsorted(users, pairs["user_id"].to_numpy())
    columns = np.searchsorted(items, pairs["item_id"].to_numpy())
    return sp.csr_matrix((np.ones(len(pairs), np.float32), (rows, columns)), (len(users), len(items)))
