"""Items for a user and users for an item over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import FastAPI

from serving_export.answers import ranking_json
from serving_export.http.inputs import Count
from serving_export.http.served import Served
from serving_export.lookup import OnUnknownUser
from training.contracts.consumers import POPULARITY


def add_rankings(app: FastAPI, served: Served) -> None:
    """Add `/recommend` and `/target`."""

    @app.get("/recommend/{user_id:path}")
    def recommend(
        user_id: str,
        k: Count = 10,
        consumer: str = "matching",
        drop_seen: bool = True,
        on_unknown: OnUnknownUser = "raise",
        space_id: str | None = None,
    ) -> dict[str, Any]:
        """Return a user's best items, best first, from `space_id` where it is named.

        `fallback` says that they are those that most users have met.
        """
        store = served.store(space_id)
        fresh = store.fresh_ranking(user_id, k, consumer, drop_seen=drop_seen)
        if fresh is not None:
            return ranking_json(fresh, store.snapshot_of(consumer).model(fresh.consumer))
        name, snapshot = store.answering(user_id, consumer, on_unknown)
        if name == POPULARITY and snapshot.popularity is not None:
            return ranking_json(snapshot.popularity.recommend(user_id, k), snapshot.model(name))
        ranking = served.indexes(snapshot, name).recommend(user_id, k, drop_seen=drop_seen)
        return ranking_json(replace(ranking, consumer=name), snapshot.model(name))

    @app.get("/target/{item_id:path}")
    def target(
        item_id: str,
        k: Count = 10,
        consumer: str = "matching",
        drop_seen: bool = True,
        space_id: str | None = None,
    ) -> dict[str, Any]:
        """Return an item's best users, best first, from `space_id` where it is named."""
        store = served.store(space_id)
        ranking = served.indexes(store.snapshot_of(consumer), consumer).target(item_id, k, drop_seen=drop_seen)
        return ranking_json(replace(ranking, consumer=consumer), store.model(consumer))
