"""Vectors of users over HTTP."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

from serving_export.answers import embeddings_json
from serving_export.http.inputs import Text
from serving_export.http.responses import PlainJSON
from serving_export.http.served import Served
from serving_export.lookup import Embeddings
from training.arrays import Floats

MAX_USERS = 10_000


class Batch(BaseModel):
    """Users to look up; `space_id` refuses vectors of any other space; "float32" answers raw little-endian rows."""

    user_ids: list[Text] = Field(max_length=MAX_USERS)
    space_id: Text | None = None
    on_unknown: Literal["raise", "ignore"] = "raise"
    format: Literal["json", "float32"] = "json"


def add_vectors(app: FastAPI, served: Served) -> None:
    """Add the lookups of one user and of many."""

    @app.get("/users/{user_id:path}/embedding")
    def embedding(user_id: str, space_id: str | None = None) -> dict[str, Any]:
        """Return one user's vector; 404 when unknown, 409 when `space_id` is not served."""
        return dict(embeddings_json(served.store(space_id).lookup([user_id]))["users"][0])

    @app.post("/embeddings")
    def embeddings(batch: Batch) -> Response:
        """Return many users' vectors, as JSON, or as raw float32 rows in the order asked (NaN: unknown)."""
        found = served.store(batch.space_id).lookup(batch.user_ids, on_unknown=batch.on_unknown)
        if batch.format == "json":
            return PlainJSON(embeddings_json(found))
        rows = _aligned(found, batch.user_ids)
        headers = {
            "x-space-id": found.space_id,
            "x-as-of": found.as_of.isoformat(),
            "x-stale": str(found.stale).lower(),
            "x-shape": ",".join(map(str, rows.shape)),
        }
        return Response(rows.tobytes(), media_type="application/octet-stream", headers=headers)


def _aligned(found: Embeddings, user_ids: list[str]) -> Floats:
    unknown = set(found.unknown)
    rows = np.full((len(user_ids), found.vectors.shape[1]), np.nan, dtype="<f4")
    rows[[user_id not in unknown for user_id in user_ids]] = found.vectors
    return rows
