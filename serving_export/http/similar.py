"""Users like a user and items like an item over HTTP, for one or for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import Field

from serving_export.answers import neighbours_json
from serving_export.embeddings import Standing
from serving_export.http.inputs import Count, OnUnknownItem, Pin, Pinned, PinnedBody, Text
from serving_export.http.rankings import MAX_QUERIES
from serving_export.http.served import Served
from serving_export.http.tally import current_tally
from serving_export.neighbours import Neighbourhoods, Neighbours


class Users(PinnedBody):
    """Users to find others like; `on_unknown` "null" answers null for those that the snapshot does not hold."""

    user_ids: list[Text] = Field(max_length=MAX_QUERIES)
    k: int = Field(10, ge=1, le=1000)
    on_unknown: OnUnknownItem = "raise"


class Items(PinnedBody):
    """Items to find others like, by the vectors of a consumer."""

    item_ids: list[Text] = Field(max_length=MAX_QUERIES)
    k: int = Field(10, ge=1, le=1000)
    consumer: Text = "matching"
    on_unknown: OnUnknownItem = "raise"


def add_similar(app: FastAPI, served: Served) -> None:
    """Add `/similar-users` and `/similar-items`, each for one and for many."""
    neighbourhoods = Neighbourhoods()

    def users(pin: Pin, batch: Users) -> list[dict[str, Any]]:
        store = served.store(*pin)
        about = served.account(store, keys=len(batch.user_ids), frame=pin.frame)
        found = neighbourhoods.users(store.snapshot, framed=pin.frame is not None)
        return _answers(found, batch.user_ids, batch.k, batch.on_unknown, about, {})

    def items(pin: Pin, batch: Items) -> list[dict[str, Any]]:
        store = served.store(*pin)
        snapshot = store.snapshot_of(batch.consumer)
        about = served.account(store, snapshot, keys=len(batch.item_ids))
        found = neighbourhoods.items(snapshot, batch.consumer)
        model = {"consumer": batch.consumer, **snapshot.model(batch.consumer)}
        return _answers(found, batch.item_ids, batch.k, batch.on_unknown, about, model)

    @app.get("/similar-users/{user_id:path}")
    def similar_users(user_id: Text, pin: Pinned, k: Count = 10, on_unknown: OnUnknownItem = "raise") -> dict[str, Any]:
        """Return the users nearest to one by the cosine of their vectors in a snapshot, nearest first."""
        return users(pin, Users(user_ids=[user_id], k=k, on_unknown=on_unknown))[0]

    @app.post("/similar-users")
    def similar_users_of_many(batch: Users) -> dict[str, Any]:
        """Return the users nearest to each, in the order asked."""
        return {"neighbours": users(batch.pin, batch)}

    @app.get("/similar-items/{item_id:path}")
    def similar_items(
        item_id: Text, pin: Pinned, k: Count = 10, consumer: Text = "matching", on_unknown: OnUnknownItem = "raise"
    ) -> dict[str, Any]:
        """Return the items nearest to one by the cosine of a consumer's vectors, nearest first."""
        return items(pin, Items(item_ids=[item_id], k=k, consumer=consumer, on_unknown=on_unknown))[0]

    @app.post("/similar-items")
    def similar_items_of_many(batch: Items) -> dict[str, Any]:
        """Return the items nearest to each, in the order asked."""
        return {"neighbours": items(batch.pin, batch)}


def _answers(
    found: Neighbours,
    asked: Sequence[str],
    k: int,
    on_unknown: OnUnknownItem,
    about: Standing,
    model: dict[str, str],
) -> list[dict[str, Any]]:
    known = [True] * len(asked) if on_unknown == "raise" else found.known(asked)
    current_tally().count(unknown=known.count(False))
    rankings = found.find([name for name, is_known in zip(asked, known, strict=True) if is_known], k)
    return [
        {**neighbours_json(name, next(rankings) if is_known else None, about), **model}
        for name, is_known in zip(asked, known, strict=True)
    ]
