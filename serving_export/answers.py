"""Put lookups and rankings as plain JSON values, the same on the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from serving_export.embeddings import Embeddings, FramedItems, Standing
from serving_export.lookup import Ranking


def standing_json(found: Standing) -> dict[str, Any]:
    """Return what every answer names: space, frame, day, `as_of`, `age` in seconds since, and whether it is stale."""
    return {
        "space_id": found.space_id,
        "frame": found.frame,
        "partition": found.partition,
        "as_of": found.as_of.isoformat(),
        "age": round(found.age.total_seconds(), 3),
        "stale": found.stale,
    }


def embeddings_json(found: Embeddings, asked: Sequence[str] = ()) -> dict[str, Any]:
    """Return a lookup: what holds for all of it, one entry for each known user, and the unknown ones.

    Args:
        found: The lookup; `virtual` marks a user without history, and `fresh_at` tells of one whose vector knows events
            after `as_of` when the newest of them was.
        asked: Every user that was asked for, to have an entry for each in that order, with a vector that is null for
            an unknown one.
    """
    return _lookup(found, found.vectors.tolist(), asked)


def embeddings_bytes(found: Embeddings, asked: Sequence[str] = ()) -> bytes:
    """Return the same as JSON text, each number as short as tells it from the next float32."""
    return orjson.dumps(_lookup(found, found.vectors, asked), option=orjson.OPT_SERIALIZE_NUMPY)


def items_json(found: FramedItems, asked: Sequence[str] = ()) -> dict[str, Any]:
    """Return items in a frame: what holds for all of them, one entry for each known item, and the unknown ones.

    Args:
        found: The lookup.
        asked: Every item that was asked for, to have an entry for each in that order, with a vector that is null for
            an unknown one.
    """
    return _items(found, found.vectors.tolist(), asked)


def items_bytes(found: FramedItems, asked: Sequence[str] = ()) -> bytes:
    """Return the same as JSON text, each number as short as tells it from the next float32."""
    return orjson.dumps(_items(found, found.vectors, asked), option=orjson.OPT_SERIALIZE_NUMPY)


def ranking_json(ranking: Ranking, model: dict[str, str], standing: Standing) -> dict[str, Any]:
    """Return a ranking with the consumer that answered, its model version and the space that the model reads.

    `fallback` is true where no consumer could answer and the items are those that most users have interacted with.
    """
    return {
        "query": ranking.query,
        "ids": list(ranking.ids),
        "scores": [round(float(score), 6) for score in ranking.scores],
        "consumer": ranking.consumer,
        "fallback": ranking.fallback,
        **standing_json(standing),
        **model,
    }


def neighbours_json(query: str, found: Ranking | None, standing: Standing) -> dict[str, Any]:
    """Return who is nearest to a user or an item, with cosines; null for one that is not known."""
    ids = None if found is None else list(found.ids)
    scores = None if found is None else [round(float(score), 6) for score in found.scores]
    return {"query": query, "ids": ids, "scores": scores, **standing_json(standing)}


def _items(found: FramedItems, vectors: Iterable[Any], asked: Sequence[str]) -> dict[str, Any]:
    known = dict(zip(found.item_ids, vectors, strict=True))
    items = [{"item_id": item, "vector": known.get(item)} for item in asked or found.item_ids]
    return {**standing_json(found), "items": items, "unknown": list(found.unknown)}


def _lookup(found: Embeddings, vectors: Iterable[Any], asked: Sequence[str]) -> dict[str, Any]:
    about, virtual = standing_json(found), set(found.virtual)
    fresh = {user: {"fresh_at": at.isoformat()} for user, at in found.fresh.items()}
    users = [
        {"user_id": user, "vector": vector, "virtual": user in virtual, **about, **fresh.get(user, {})}
        for user, vector in zip(found.user_ids, vectors, strict=True)
    ]
    if found.unknown and asked:
        known = dict(zip(found.user_ids, users, strict=True))
        users = [known.get(user) or {"user_id": user, "vector": None, "virtual": False, **about} for user in asked]
    return {**about, "users": users, "unknown": list(found.unknown)}
