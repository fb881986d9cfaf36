"""Put lookups and rankings as plain JSON values, the same on the command line and over HTTP."""

from __future__ import annotations

from typing import Any

from serving_export.lookup import Embeddings, Ranking


def embeddings_json(found: Embeddings) -> dict[str, Any]:
    """Return a lookup: what holds for all of it, one entry for each known user, and the unknown ones.

    `age` is in seconds from `as_of` to the lookup; `virtual` marks a user without history, and `fresh_at` tells of a
    user whose vector knows events after `as_of` when the newest of them was.
    """
    about = {
        "space_id": found.space_id,
        "partition": found.partition,
        "as_of": found.as_of.isoformat(),
        "age": round(found.age.total_seconds(), 3),
        "stale": found.stale,
    }
    vectors = found.vectors.tolist()
    virtual = set(found.virtual)
    fresh = {user: {"fresh_at": at.isoformat()} for user, at in found.fresh.items()}
    users = [
        {"user_id": user, "vector": v, "virtual": user in virtual, **about, **fresh.get(user, {})}
        for user, v in zip(found.user_ids, vectors, strict=True)
    ]
    return {**about, "users": users, "unknown": list(found.unknown)}


def ranking_json(ranking: Ranking, model: dict[str, str]) -> dict[str, Any]:
    """Return a ranking with the consumer that answered, its model version and the space that the model reads.

    `fallback` is true where no consumer could answer and the items are those that most users have met.
    """
    return {
        "query": ranking.query,
        "ids": list(ranking.ids),
        "scores": [round(float(score), 6) for score in ranking.scores],
        "consumer": ranking.consumer,
        "fallback": ranking.fallback,
        **model,
    }
