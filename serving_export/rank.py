"""Write full rankings in bulk: every item for users, or every user for items, best first, by exact products."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from serving_export.lookup import OnUnknown, Side, Snapshot
from serving_export.packed import Rows, find_rows, pair_scores, top_rows, unpack_ids
from training.contracts.consumers import FOR_USERS_WITHOUT_HISTORY
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
) -> dict[str, int]:
    """Write `id<TAB>id id ...` lines, best first, whole or not at all, and return how many by who answered.

    Items for users without history come from the consumer for such users, where the snapshot carries it.

    Args:
        snapshot: What is served.
        consumer: Name of the consumer that is asked.
        task: "recommend" ranks items for users, "target" users for items.
        out: File to write.
        k: Longest list; a shorter one means that fewer are left to rank.
        ids: Whom to rank for, in this order; None means all.
        drop_seen: Whether to leave out pairs that have interacted.
        on_unknown: What to do with ids that the snapshot does not hold: raise, or leave out their lines.

    Raises:
        UnknownId: An id is unknown and `on_unknown` is "raise".
        MissingArtefact: The snapshot does not carry the consumer.
        AttuneError: `k` is not positive, or an id to write contains white space.
    """
    from training.storage import replace_file

    if k < 1:
        raise AttuneError(f"expected k of at least 1, found {k}")
    parts = _who_answers(snapshot, consumer, task)
    asked = sorted(set().union(*(part.ids for part in parts))) if ids is None else list(ids)
    _refuse_unknown(asked, parts, on_unknown)
    with replace_file(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        for start in range(0, len(asked), CHUNK_QUERIES):
            lines: dict[str, str] = {}
            for part in parts:
                lines |= part.lines(asked[start : start + CHUNK_QUERIES], k, drop_seen)
            file.writelines(lines[name] for name in asked[start : start + CHUNK_QUERIES] if name in lines)
    answered = {part.consumer: sum(name in part.ids for name in asked) for part in parts}
    logger.info("ranked %d of each for %s into %s", k, answered, out)
    return {name: count for name, count in answered.items() if count or name == consumer}


@dataclass(frozen=True)
class _Part:
    """The queries that one consumer answers."""

    consumer: str
    queries: Side
    answers: Side
    ids: frozenset[str]

    def lines(self, asked: Sequence[str], k: int, drop_seen: bool) -> dict[str, str]:
        """Return the lines of those of `asked` that are this consumer's to answer."""
        rows = find_rows(self.queries.ids, [name for name in asked if name in self.ids])
        best = _best(self.queries, self.answers, rows, k, drop_seen)
        return {
            (query := self.queries.ids[row].decode()): f"{query}\t{' '.join(self.names[at] for at in found.tolist())}\n"
            for row, found in best
        }

    @cached_property
    def names(self) -> list[str]:
        """The external ids of what is ranked."""
        return [_one_word(self.answers, name) for name in unpack_ids(self.answers.ids)]


def _who_answers(snapshot: Snapshot, consumer: str, task: Task) -> list[_Part]:
    """Return the consumer's part and, for items, that of users without history where another answers for them."""
    asked = snapshot.consumer(consumer)
    if task == "target":
        return [_Part(consumer, asked.items, asked.users, frozenset(unpack_ids(asked.items.ids)))]
    cold: frozenset[str] = frozenset()
    if FOR_USERS_WITHOUT_HISTORY in snapshot.entry.consumers and consumer != FOR_USERS_WITHOUT_HISTORY:
        cold = frozenset(unpack_ids(snapshot.user_ids[snapshot.is_virtual]))
    own = _Part(consumer, asked.users, asked.items, frozenset(unpack_ids(asked.users.ids)) - cold)
    if not cold:
        return [own]
    other = snapshot.consumer(FOR_USERS_WITHOUT_HISTORY)
    return [own, _Part(FOR_USERS_WITHOUT_HISTORY, other.users, other.items, cold)]


def _refuse_unknown(asked: Sequence[str], parts: Sequence[_Part], on_unknown: OnUnknown) -> None:
    unknown = [name for name in asked if not any(name in part.ids for part in parts)]
    if not unknown:
        return
    queries = parts[0].queries
    message = (
        f"expected {queries.name}s of the snapshot, found {len(unknown)} unknown (first {unknown[0]!r}) at "
        f"{queries.folder}; "
    )
    if on_unknown == "raise":
        raise UnknownId(message + "leave them out of the list, or pass --unknown warn")
    if on_unknown == "warn":
        logger.warning("%stheir lines are left out", message)


def _best(queries: Side, answers: Side, rows: Rows, k: int, drop_seen: bool) -> Iterator[tuple[int, Rows]]:
    products = len(answers.ids) * queries.num_vectors * answers.num_vectors
    step = max(1, CHUNK_SCORES // max(1, products))
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        scores_QA = pair_scores(queries.vectors[chunk], answers.vectors)
        for row, scores in zip(chunk.tolist(), scores_QA, strict=True):
            if drop_seen:
                scores[queries.seen(row)] = -np.inf
            yield row, top_rows(scores, k)


def _one_word(side: Side, name: str) -> str:
    if name.split() != [name]:
        raise AttuneError(
            f"expected {side.name} ids without white space in a ranking file, found {name!r} at {side.folder}; "
            "read rankings of such ids through the server or EmbeddingStore"
        )
    return name
