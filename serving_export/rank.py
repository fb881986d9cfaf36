"""Write full rankings in bulk: every item for users, or every user for items, best first, by exact products."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from serving_export.lookup import Consumer, OnUnknown, Side
from serving_export.packed import Rows, find_rows, pair_scores, top_rows, unpack_ids
from training.contracts.errors import AttuneError, UnknownId

logger = logging.getLogger(__name__)

Task = Literal["recommend", "target"]
CHUNK_SCORES = 8_000_000
"""Scores held in memory at once (32 MB)."""


def write_rankings(
    consumer: Consumer,
    task: Task,
    out: Path,
    *,
    k: int = 50,
    ids: Sequence[str] | None = None,
    drop_seen: bool = True,
    on_unknown: OnUnknown = "warn",
) -> int:
    """Write `id<TAB>id id ...` lines, best first, whole or not at all, and return how many.

    Args:
        consumer: The consumer's vectors.
        task: "recommend" ranks items for users, "target" users for items.
        out: File to write.
        k: Longest list; a shorter one means that fewer are left to rank.
        ids: Whom to rank for, in this order; None means all.
        drop_seen: Whether to leave out pairs that have interacted.
        on_unknown: What to do with ids that the snapshot does not hold: raise, or leave out their lines.

    Raises:
        UnknownId: An id is unknown and `on_unknown` is "raise".
        AttuneError: `k` is not positive, or an id to write contains white space.
    """
    from training.storage import replace_file

    if k < 1:
        raise AttuneError(f"expected k of at least 1, found {k}")
    queries, answers = (consumer.users, consumer.items)[:: 1 if task == "recommend" else -1]
    rows = np.arange(len(queries.ids)) if ids is None else _known(queries, ids, on_unknown)
    names = [_one_word(answers, name) for name in unpack_ids(answers.ids)]
    with replace_file(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row, best in _best(queries, answers, rows, k, drop_seen):
            query = queries.ids[row].decode()
            file.write(f"{query}\t{' '.join(names[answer] for answer in best.tolist())}\n")
    logger.info("ranked %d of each for %d %ss into %s", k, len(rows), queries.name, out)
    return len(rows)


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


def _known(queries: Side, ids: Sequence[str], on_unknown: OnUnknown) -> Rows:
    rows = find_rows(queries.ids, ids)
    unknown = [name for name, row in zip(ids, rows.tolist(), strict=True) if row < 0]
    if unknown:
        message = (
            f"expected {queries.name}s of the snapshot, found {len(unknown)} unknown (first {unknown[0]!r}) at "
            f"{queries.folder}; "
        )
        if on_unknown == "raise":
            raise UnknownId(message + "leave them out of the list, or pass --unknown warn")
        if on_unknown == "warn":
            logger.warning("%stheir lines are left out", message)
    return rows[rows >= 0]


def _one_word(side: Side, name: str) -> str:
    if name.split() != [name]:
        raise AttuneError(
            f"expected {side.name} ids without white space in a ranking file, found {name!r} at {side.folder}; "
            "read rankings of such ids through the server or EmbeddingStore"
        )
    return name
