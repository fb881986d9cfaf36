"""Take a log through the whole chain in process: land, build, validate, train, gate, promote, refresh, answer."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from serving_export.answers import ranking_json
from serving_export.jobs import run as run_serving
from serving_export.lookup import EmbeddingStore
from serving_export.rank import write_rankings
from training.contracts.artefacts import GateDecision
from training.contracts.consumers import CONSUMERS
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.ingest.history import History, write_history
from training.jobs import run
from training.registry.ledger import Ledger
from training.settings import Settings

_NOT_A_NUMBER = re.compile(r"\b(nan|inf)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a walk ended.

    Attributes:
        lack: The one line of what the log lacks; empty where the log is served.
        gates: Every gate decision on the way.
        consumers: What is served, by consumer.
        warned: Distinct warnings of libraries.
    """

    lack: str
    gates: tuple[GateDecision, ...]
    consumers: tuple[str, ...]
    warned: tuple[str, ...]

    @property
    def served(self) -> bool:
        """Whether lookups are answered."""
        return not self.lack

    @property
    def not_applicable(self) -> dict[str, str]:
        """What the log lacks, by consumer."""
        return {gate.subject.split()[0]: gate.not_applicable for gate in self.gates if gate.not_applicable}

    @property
    def figures(self) -> list[str]:
        """Every figure of every gate."""
        return [f"{gate.subject}: {c.name}: {c.observed}, {c.allowed}" for gate in self.gates for c in gate.checks]


def walk(settings: Settings, history: History) -> Ended:
    """Return how the chain ends for a log; anything but an expected error is raised.

    The log's last day is the partition.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            lack = _served(settings, history)
        except AttuneError as error:
            lack = str(error)
    gates = tuple(Ledger(settings).gates())
    served = EmbeddingStore(settings.published_dir).pointer.live.consumers if not lack else {}
    warned = sorted({f"{w.category.__name__}: {str(w.message).splitlines()[0]}" for w in caught})
    return Ended(lack=lack, gates=gates, consumers=tuple(sorted(served)), warned=tuple(warned))


def broken(ended: Ended) -> list[str]:
    """Return what must not be: a line break in the line, a figure that is no number, arithmetic that warned."""
    found = [f"more than one line: {ended.lack}"] if "\n" in ended.lack else []
    found += [figure for figure in ended.figures if _NOT_A_NUMBER.search(figure)]
    return found + [warning for warning in ended.warned if warning.startswith("RuntimeWarning")]


def _served(settings: Settings, history: History) -> str:
    """Return why the log is not served, empty where it is."""
    day = write_history(settings, history, "log").days[-1]
    for job in ("land_partition", "transform_partition", "pool_taste", "validate_features", "materialise_features"):
        run(job, day, settings=settings)
    space_id = run("train_candidate", day, settings=settings)["space_id"]
    offered = run("gate_candidate", day, settings=settings, space_id=space_id)["accepted"]
    for consumer in CONSUMERS if offered else ():
        model = run("train_consumer", day, settings=settings, consumer=consumer, space_id=space_id)
        run("gate_consumer", day, settings=settings, consumer=consumer, version=model["version"])
    promoted = run_serving("promote_space", day, settings=settings)
    if not promoted["promoted"]:
        return str(promoted["reason"])
    run_serving("refresh_embeddings", day, settings=settings)
    _answered(settings, day, set(history.interactions["user_id"].to_pylist()))
    if history.users is not None:
        _answered(settings, day, set(history.users["user_id"].to_pylist()))
    return ""


def _answered(settings: Settings, day: str, users: set[str]) -> None:
    """Hold every kind of answer to each other."""
    store = EmbeddingStore(settings.published_dir)
    known = [user for user in sorted(users) if not store.lookup([user], "ignore").unknown]
    assert known, "nobody is known"
    assert np.isfinite(store.lookup(known).vectors).all()
    ranked = settings.home / "ranked.parquet"
    write_rankings(store.snapshot, "matching", "recommend", ranked, k=5)
    rows = {row["query"]: row for row in pq.read_table(ranked).to_pylist()}
    for user in [*known[:5], *known[-5:]]:
        ranking = store.recommend(user, 5)
        np.testing.assert_allclose(
            rows[user]["scores"], ranking.scores, rtol=1e-4, atol=1e-4
        )  # near ties may change places
        assert rows[user]["consumer"] == ranking.consumer
        told = ranking_json(ranking, store.model("matching", user), store.standing(store.snapshot))
        assert told["space_id"] == store.space_id
        for item in ranking.ids[:1]:
            assert np.isfinite(store.target(item, 5).scores).all()
    stranger = store.recommend("nobody at all", 5, on_unknown="popularity")
    assert stranger.fallback
    assert Partition.parse(day).as_of == store.snapshot.as_of
