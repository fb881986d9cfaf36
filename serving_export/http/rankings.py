"""Items for a user and users for an item over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi import FastAPI

from serving_export.answers import ranking_json
from serving_export.http.inputs import Count, OnUnknownItem, OnUnknownRanking, Pinned
from serving_export.http.served import Served
from serving_export.http.tally import current_tally
from serving_export.lookup import Ranking, Standing
from training.contracts.consumers import POPULARITY
from training.contracts.errors import UnknownId


def add_rankings(app: FastAPI, served: Served) -> None:
    """Add `/recommend` and `/target`."""

    @app.get("/recommend/{user_id:path}")
    def recommend(
        user_id: str,
        pin: Pinned,
        k: Count = 10,
        consumer: str = "matching",
        drop_seen: bool = True,
        on_unknown: OnUnknownRanking = "raise",
    ) -> dict[str, Any]:
        """Return a user's best items, best first.

        `fallback` says that they are those that most users have met; `ids` is null for an unknown user if asked.
        """
        store = served.store(*pin)
        popular = on_unknown in ("popular", "popularity")
        name, snapshot = store.answering(user_id, consumer, "popularity" if popular else "raise")
        about = served.account(store, snapshot, keys=1)
        if name == POPULARITY and snapshot.popularity is not None:
            return ranking_json(snapshot.popularity.recommend(user_id, k), snapshot.model(name), about)

        def rank() -> Ranking:
            ranking = served.indexes(snapshot, name).recommend(user_id, k, drop_seen=drop_seen)
            return replace(ranking, consumer=name)

        return _ranked(rank, user_id, snapshot.model(name), about, or_null=on_unknown == "null")

    @app.get("/target/{item_id:path}")
    def target(
        item_id: str,
        pin: Pinned,
        k: Count = 10,
        consumer: str = "matching",
        drop_seen: bool = True,
        on_unknown: OnUnknownItem = "raise",
    ) -> dict[str, Any]:
        """Return an item's best users, best first; `ids` is null for an unknown item if asked."""
        store = served.store(*pin)
        snapshot = store.snapshot_of(consumer)
        about = served.account(store, snapshot, keys=1)

        def rank() -> Ranking:
            ranking = served.indexes(snapshot, consumer).target(item_id, k, drop_seen=drop_seen)
            return replace(ranking, consumer=consumer)

        return _ranked(rank, item_id, snapshot.model(consumer), about, or_null=on_unknown == "null")


def _ranked(
    rank: Callable[[], Ranking], query: str, model: dict[str, str], about: Standing, *, or_null: bool
) -> dict[str, Any]:
    try:
        return ranking_json(rank(), model, about)
    except UnknownId:
        if not or_null:
            raise
    current_tally().count(unknown=1)
    nothing = Ranking(query=query, ids=(), scores=np.empty(0, np.float32))
    return {**ranking_json(nothing, model, about), "ids": None, "scores": None, "consumer": None}
