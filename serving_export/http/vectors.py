"""Vectors of users over HTTP."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field, model_validator

from serving_export.answers import embeddings_bytes, embeddings_json
from serving_export.embeddings import Embeddings, Standing
from serving_export.http.bodies import described, read_body
from serving_export.http.inputs import OnUnknownItem, OnUnknownVector, Pin, Pinned, PinnedBody
from serving_export.http.served import Served
from serving_export.http.tally import current_tally
from serving_export.vector_bytes import MEDIA_TYPE, Number, VectorRows, encode
from training.arrays import Floats

MAX_USERS = 10_000
_AT_ONCE = {"json": 100, "arrow": 500, "binary": 1_000, "float32": 1_000}
"""Users up to which an answer takes less than a millisecond, so that it is not worth a thread's while."""
ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
RAW = "application/octet-stream"
FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The vectors, in the form that was asked for.",
        "content": {JSON: {}, MEDIA_TYPE: {}, ARROW: {}, RAW: {}},
    }
}


class Batch(PinnedBody):
    """Users to look up, and how.

    `space` refuses vectors of any other, `frame` asks for those turned into it. `on_unknown`: refuse the whole request,
    answer a vector that is null, or leave the user out. `format`: "json"; "binary", rows behind a header
    (`serving_export.vector_bytes` reads them); "arrow", an IPC stream; "float32", rows without a header. All but JSON
    keep the order asked and have a row for every user, NaN or null for an unknown one. `dtype` puts "binary" and
    "arrow" in fewer bits; what is lost by it is at `/spaces`.
    """

    user_ids: list[str] = Field(max_length=MAX_USERS)
    on_unknown: OnUnknownVector = "raise"
    format: Literal["json", "binary", "arrow", "float32"] = "json"
    dtype: Number = "float32"

    @model_validator(mode="after")
    def _check_dtype(self) -> Self:
        if self.dtype != "float32" and self.format not in ("binary", "arrow"):
            raise ValueError(f'expected format "binary" or "arrow" with dtype {self.dtype}, found "{self.format}"')
        return self


def add_vectors(app: FastAPI, served: Served) -> None:
    """Add the lookups of one user and of many."""

    @app.get("/users/{user_id:path}/embedding")
    def embedding(user_id: str, pin: Pinned, on_unknown: OnUnknownItem = "raise") -> dict[str, Any]:
        """Return one user's vector; an unknown one's is null if asked, else 404; 409 when `space` is not served."""
        found = _look_up(served, pin, [user_id], on_unknown)
        return dict(embeddings_json(found, [user_id])["users"][0])

    @app.post("/embeddings", openapi_extra=described(Batch), responses=FORMS, response_class=Response)
    async def embeddings(request: Request) -> Response:
        """Return many users' vectors, as JSON, or as rows in the order asked."""
        batch = await read_body(request, Batch)
        if served.is_open() and len(batch.user_ids) <= _AT_ONCE[batch.format]:
            return _answer(served, batch)
        return await run_in_threadpool(_answer, served, batch)


def _look_up(served: Served, pin: Pin, user_ids: list[str], on_unknown: OnUnknownVector) -> Embeddings:
    store = served.store(*pin)
    served.account(store, keys=len(user_ids), frame=pin.frame)
    found = store.lookup(user_ids, on_unknown="raise" if on_unknown == "raise" else "ignore", frame=pin.frame)
    current_tally().count(unknown=len(found.unknown))
    served.log.record(found)
    return found


def _answer(served: Served, batch: Batch) -> Response:
    found = _look_up(served, batch.pin, batch.user_ids, batch.on_unknown)
    if batch.format == "json":
        asked = batch.user_ids if batch.on_unknown == "null" else ()
        return Response(embeddings_bytes(found, asked), media_type=JSON)
    rows = aligned(found.vectors, found.unknown, batch.user_ids)
    if batch.format == "binary":
        return Response(as_bytes(found, rows, batch.dtype), media_type=MEDIA_TYPE)
    if batch.format == "arrow":
        from serving_export.vector_table import stream_users  # pyarrow: only for those who ask

        return Response(stream_users(found, rows, batch.user_ids, batch.dtype), media_type=ARROW)
    return Response(rows.tobytes(), media_type=RAW, headers={"x-shape": ",".join(map(str, rows.shape))})


def aligned(vectors: Floats, unknown: tuple[str, ...], asked: list[str]) -> Floats:
    """Return a row for every id in the order asked, float32 [n, Z], NaN for an unknown one."""
    if not unknown:
        return vectors
    missing = set(unknown)
    rows = np.full((len(asked), vectors.shape[1]), np.nan, dtype=np.float32)
    rows[[one not in missing for one in asked]] = vectors
    return rows


def as_bytes(found: Standing, rows: Floats, number: Number) -> bytes:
    """Return rows behind the header that names their standing."""
    about = {name: getattr(found, name) for name in ("space_id", "frame", "as_of", "stale")}
    return encode(VectorRows(vectors=rows, number=number, **about))
