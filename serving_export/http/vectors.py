"""Vectors of users over HTTP."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

from serving_export.answers import embeddings_json
from serving_export.http.inputs import OnUnknownItem, OnUnknownVector, Pin, Pinned, Text, one_pin
from serving_export.http.responses import PlainJSON
from serving_export.http.served import Served
from serving_export.http.tally import current_tally
from serving_export.lookup import Embeddings
from training.arrays import Floats

MAX_USERS = 10_000
RAW = "application/octet-stream"


class Batch(BaseModel):
    """Users to look up; `space` refuses vectors of any other space; "float32" answers raw little-endian rows."""

    user_ids: list[Text] = Field(max_length=MAX_USERS)
    space: Text | None = None
    space_id: Text | None = None
    frame: Text | None = None
    on_unknown: OnUnknownVector = "raise"
    format: Literal["json", "float32"] = "json"

    @property
    def pin(self) -> Pin:
        """The space and the frame that the vectors must be of."""
        return one_pin(self.space, self.space_id, self.frame)


def add_vectors(app: FastAPI, served: Served) -> None:
    """Add the lookups of one user and of many."""

    @app.get("/users/{user_id:path}/embedding")
    def embedding(user_id: str, pin: Pinned, on_unknown: OnUnknownItem = "raise") -> dict[str, Any]:
        """Return one user's vector; an unknown one's is null if asked, else 404; 409 when `space` is not served."""
        found = _look_up(served, pin, [user_id], on_unknown)
        return dict(embeddings_json(found, [user_id])["users"][0])

    @app.post("/embeddings", responses={200: {"content": {RAW: {}}}})
    def embeddings(batch: Batch) -> Response:
        """Return many users' vectors, as JSON, or as raw float32 rows in the order asked (NaN: unknown)."""
        found = _look_up(served, batch.pin, batch.user_ids, batch.on_unknown)
        if batch.format == "json":
            return PlainJSON(embeddings_json(found, batch.user_ids if batch.on_unknown == "null" else ()))
        rows = _aligned(found, batch.user_ids)
        headers = {
            "x-space-id": found.space_id,
            "x-as-of": found.as_of.isoformat(),
            "x-stale": str(found.stale).lower(),
            "x-shape": ",".join(map(str, rows.shape)),
        }
        return Response(rows.tobytes(), media_type=RAW, headers=headers)


def _look_up(served: Served, pin: Pin, user_ids: list[str], on_unknown: OnUnknownVector) -> Embeddings:
    store = served.store(*pin)
    served.account(store, keys=len(user_ids))
    found = store.lookup(user_ids, on_unknown="raise" if on_unknown == "raise" else "ignore")
    current_tally().count(unknown=len(found.unknown))
    return found


def _aligned(found: Embeddings, user_ids: list[str]) -> Floats:
    unknown = set(found.unknown)
    rows = np.full((len(user_ids), found.vectors.shape[1]), np.nan, dtype="<f4")
    rows[[user_id not in unknown for user_id in user_ids]] = found.vectors
    return rows
