"""Items for a user and users for an item over HTTP, for one or for many at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic import Field

from serving_export.answers import ranking_json
from serving_export.embeddings import Standing
from serving_export.http.inputs import Count, OnUnknownItem, OnUnknownRanking, Pinned, PinnedBody, Text
from serving_export.http.served import Served
from serving_export.http.tally import current_tally
from serving_export.lookup import EmbeddingStore, Ranking
from training.contracts.consumers import POPULARITY
from training.contracts.errors import UnknownId

MAX_QUERIES = 100


class Ask(PinnedBody):
    """What every batch of rankings may say: how many, by whose vectors, whether without seen pairs, of which space."""

    k: int = Field(10, ge=1, le=1000)
    consumer: Text = "matching"
    drop_seen: bool = True


class UserBatch(Ask):
    """Users to find items for."""

    user_ids: list[Text] = Field(max_length=MAX_QUERIES)
    on_unknown: OnUnknownRanking = "raise"


class ItemBatch(Ask):
    """Items to find users for."""

    item_ids: list[Text] = Field(max_length=MAX_QUERIES)
    on_unknown: OnUnknownItem = "raise"


def add_rankings(app: FastAPI, served: Served) -> None:
    """Add `/recommend` and `/target`, each for one and for many."""

    @app.get("/recommend/{user_id:path}")
    def recommend(
        user_id: str,
        pin: Pinned,
        k: Count = 10,
        consumer: Text = "matching",
        drop_seen: bool = True,
        on_unknown: OnUnknownRanking = "raise",
    ) -> dict[str, Any]:
        """Return a user's best items, best first.

        `fallback` says that they are the most popular items; `ids` is null for an unknown user if asked.
        """
        ask = Ask(k=k, consumer=consumer, drop_seen=drop_seen)
        return _items_for(served, served.store(*pin), ask, user_id, on_unknown)

    @app.post("/recommend")
    def recommend_many(batch: UserBatch) -> dict[str, Any]:
        """Return the best items of each user, in the order asked."""
        store = served.store(*batch.pin)
        store.snapshot_of(batch.consumer)  # an unknown consumer is one, whoever is asked for
        return {"rankings": [_items_for(served, store, batch, user, batch.on_unknown) for user in batch.user_ids]}

    @app.get("/target/{item_id:path}")
    def target(
        item_id: str,
        pin: Pinned,
        k: Count = 10,
        consumer: Text = "matching",
        drop_seen: bool = True,
        on_unknown: OnUnknownItem = "raise",
    ) -> dict[str, Any]:
        """Return an item's best users, best first; `ids` is null for an unknown item if asked."""
        ask = Ask(k=k, consumer=consumer, drop_seen=drop_seen)
        return _users_for(served, served.store(*pin), ask, item_id, on_unknown)

    @app.post("/target")
    def target_many(batch: ItemBatch) -> dict[str, Any]:
        """Return the best users of each item, in the order asked."""
        store = served.store(*batch.pin)
        store.snapshot_of(batch.consumer)
        return {"rankings": [_users_for(served, store, batch, item, batch.on_unknown) for item in batch.item_ids]}


def _items_for(
    served: Served, store: EmbeddingStore, ask: Ask, user_id: str, on_unknown: OnUnknownRanking
) -> dict[str, Any]:
    fresh = store.fresh_ranking(user_id, ask.k, ask.consumer, drop_seen=ask.drop_seen)
    if fresh is not None:
        snapshot = store.snapshot_of(ask.consumer)
        return ranking_json(fresh, snapshot.model(fresh.consumer), served.account(store, snapshot, keys=1))
    popular = on_unknown in ("popular", "popularity")
    name, snapshot = store.answering(user_id, ask.consumer, "popularity" if popular else "raise")
    about = served.account(store, snapshot, keys=1)
    if name == POPULARITY and snapshot.popularity is not None:
        current_tally().count(unknown=int(snapshot.rows_of([user_id])[0] < 0))
        return ranking_json(snapshot.popularity.recommend(user_id, ask.k), snapshot.model(name), about)

    def rank() -> Ranking:
        ranking = served.indexes(snapshot, name).recommend(user_id, ask.k, drop_seen=ask.drop_seen)
        return replace(ranking, consumer=name)

    return _ranked(rank, user_id, snapshot.model(name), about, or_null=on_unknown == "null")


def _users_for(
    served: Served, store: EmbeddingStore, ask: Ask, item_id: str, on_unknown: OnUnknownItem
) -> dict[str, Any]:
    snapshot = store.snapshot_of(ask.consumer)
    about = served.account(store, snapshot, keys=1)

    def rank() -> Ranking:
        ranking = served.indexes(snapshot, ask.consumer).target(item_id, ask.k, drop_seen=ask.drop_seen)
        return replace(ranking, consumer=ask.consumer)

    return _ranked(rank, item_id, snapshot.model(ask.consumer), about, or_null=on_unknown == "null")


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
