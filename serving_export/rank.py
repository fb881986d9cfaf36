"""Write full rankings in bulk: every item for users, or every user for items, best first, by exact products."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from serving_export.lookup import OnUnknown
from serving_export.packed import Rows, find_rows, pair_scores, top_rows, unpack_ids
from serving_export.rank_file import Form, Line, form_of, open_rank_file
from serving_export.sides import Popularity, Side
from serving_export.snapshot import Snapshot
from training.arrays import Floats
from training.contracts.consumers import FOR_USERS_WITHOUT_HISTORY, POPULARITY
from training.contracts.errors import AttuneError, UnknownId

logger = logging.getLogger(__name__)

Task = Literal["recommend", "target"]
CHUNK_SCORES = 8_000_000
"""Scores held in memory at once (32 MB)."""
CHUNK_QUERIES = 10_000
"""Lines held in memory at once."""


def write_rankings(
    snapshot: Snapshot,
    consumer: str,
    task: Task,
    out: Path,
    *,
    k: int = 50,
    ids: Sequence[str] | None = None,
    drop_seen: bool = True,
    on_unknown: OnUnknown = "warn",
    form: Form | None = None,
) -> dict[str, int]:
    """Write a line for each ranking, best first, whole or not at all, and return how many by who answered.

    Items for users without history come from the consumer for such users or, where the snapshot lacks it, from
    popularity.

    Args:
        snapshot: What is served.
        consumer: Name of the consumer that is asked.
        task: "recommend" ranks items for users, "target" users for items.
        out: File to write.
        k: Longest list; a shorter one means that fewer are left to rank.
        ids: Whom to rank for, in this order; None means all.
        drop_seen: Whether to leave out pairs that have interacted.
        on_unknown: What to do with ids that the snapshot does not hold: raise, or leave out their lines.
        form: How the file is written; None goes by its ending.

    Raises:
        UnknownId: An id is unknown and `on_unknown` is "raise".
        MissingArtefact: The snapshot does not carry the consumer.
        AttuneError: `k` is not positive, or an id to write as text contains white space.
    """
    from training.storage import replace_file

    if k < 1:
        raise AttuneError(f"expected k of at least 1, found {k}")
    parts = _who_answers(snapshot, consumer, task)
    asked = sorted(set().union(*(part.ids for part in parts))) if ids is None else list(ids)
    _refuse_unknown(asked, parts, snapshot, on_unknown)
    with replace_file(out) as temporary, open_rank_file(temporary, form_of(out, form)) as file:
        for start in range(0, len(asked), CHUNK_QUERIES):
            lines: dict[str, Line] = {}
            for part in parts:
                lines |= {line.query: line for line in part.lines(asked[start : start + CHUNK_QUERIES], k, drop_seen)}
            file.write(lines[name] for name in asked[start : start + CHUNK_QUERIES] if name in lines)
    answered = {part.consumer: sum(name in part.ids for name in asked) for part in parts}
    logger.info("ranked %d of each for %s into %s", k, answered, out)
    return {name: count for name, count in answered.items() if count or name == consumer}


class _Part(Protocol):
    """The queries that one consumer, or popularity, answers."""

    @property
    def consumer(self) -> str:
        """Who answers."""
        ...

    @property
    def ids(self) -> frozenset[str]:
        """Whose queries are answered."""
        ...

    def lines(self, asked: Sequence[str], k: int, drop_seen: bool) -> Iterator[Line]:
        """Return the rankings of those of `asked` that are to be answered here."""
        ...


@dataclass(frozen=True)
class _OfConsumer:
    consumer: str
    queries: Side
    answers: Side
    ids: frozenset[str]

    def lines(self, asked: Sequence[str], k: int, drop_seen: bool) -> Iterator[Line]:
        rows = find_rows(self.queries.ids, [name for name in asked if name in self.ids])
        for row, found, scores in _best(self.queries, self.answers, rows, k, drop_seen):
            ids = [self.names[at] for at in found.tolist()]
            yield Line(self.queries.ids[row].decode(), ids, scores, self.consumer)

    @cached_property
    def names(self) -> list[str]:
        return unpack_ids(self.answers.ids)


@dataclass(frozen=True)
class _OfPopularity:
    popularity: Popularity
    ids: frozenset[str]
    consumer: str = POPULARITY

    def lines(self, asked: Sequence[str], k: int, drop_seen: bool) -> Iterator[Line]:
        best = self.popularity.recommend("", k)
        for name in asked:
            if name in self.ids:
                yield Line(name, list(best.ids), best.scores, self.consumer)


def _who_answers(snapshot: Snapshot, consumer: str, task: Task) -> list[_Part]:
    """Return the consumer's part and, for items, that of users without history where another answers for them."""
    asked = snapshot.consumer(consumer)
    if task == "target":
        return [_OfConsumer(consumer, asked.items, asked.users, frozenset(unpack_ids(asked.items.ids)))]
    erased = asked.users.erased_rows()
    users = frozenset(unpack_ids(asked.users.ids)) - frozenset(unpack_ids(asked.users.ids[erased]))
    if FOR_USERS_WITHOUT_HISTORY in snapshot.entry.consumers:
        cold = frozenset() if consumer == FOR_USERS_WITHOUT_HISTORY else _ids_at(snapshot, snapshot.is_virtual)
        other = snapshot.consumer(FOR_USERS_WITHOUT_HISTORY)
        rest: _Part = _OfConsumer(FOR_USERS_WITHOUT_HISTORY, other.users, other.items, cold)
    elif snapshot.popularity is not None:
        cold = _ids_at(snapshot, ~asked.have_history(snapshot.user_ids))
        rest = _OfPopularity(snapshot.popularity, cold)
    else:
        return [_OfConsumer(consumer, asked.users, asked.items, users)]
    own = _OfConsumer(consumer, asked.users, asked.items, users - cold)
    return [own, rest] if cold else [own]


def _ids_at(snapshot: Snapshot, mask: Any) -> frozenset[str]:
    ids = unpack_ids(snapshot.user_ids[mask])
    return frozenset(name for name, row in zip(ids, snapshot.rows_of(ids).tolist(), strict=True) if row >= 0)


def _refuse_unknown(asked: Sequence[str], parts: Sequence[_Part], snapshot: Snapshot, on_unknown: OnUnknown) -> None:
    unknown = [name for name in asked if not any(name in part.ids for part in parts)]
    if not unknown:
        return
    message = (
        f"expected ids of the snapshot to rank for, found {len(unknown)} unknown (first {unknown[0]!r}) at "
        f"{snapshot.folder}; "
    )
    if on_unknown == "raise":
        raise UnknownId(message + "leave them out of the list, or pass --unknown warn")
    if on_unknown == "warn":
        logger.warning("%stheir lines are left out", message)


def _best(queries: Side, answers: Side, rows: Rows, k: int, drop_seen: bool) -> Iterator[tuple[int, Rows, Floats]]:
    products = len(answers.ids) * queries.num_vectors * answers.num_vectors
    step = max(1, CHUNK_SCORES // max(1, products))
    erased = answers.erased_rows()
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        scores_QA = pair_scores(queries.vectors[chunk], answers.vectors)
        scores_QA[:, erased] = -np.inf
        for row, scores in zip(chunk.tolist(), scores_QA, strict=True):
            if drop_seen:
                scores[queries.seen(row)] = -np.inf
            found = top_rows(scores, k)
            yield row, found, scores[found]
