"""Answer lookups and rankings over HTTP from the mapped snapshot, following the pointer as it moves."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from serving_export.answers import embeddings_json, ranking_json
from serving_export.index import ApproximateConsumer
from serving_export.lookup import Embeddings, EmbeddingStore, OnUnknownUser, Snapshot
from serving_export.packed import Floats
from serving_export.pointer import POINTER
from serving_export.status import status
from training.contracts.consumers import POPULARITY
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch, UnknownId
from training.settings import Settings

logger = logging.getLogger(__name__)

MAX_USERS = 10_000
_STATUS_OF: tuple[tuple[type[AttuneError], int], ...] = ((UnknownId, 404), (SpaceMismatch, 409), (MissingArtefact, 503))
Count = Annotated[int, Query(ge=1, le=1000)]


class Batch(BaseModel):
    """Users to look up; `space_id` refuses vectors of any other space; "float32" answers raw little-endian rows."""

    user_ids: list[str] = Field(max_length=MAX_USERS)
    space_id: str | None = None
    on_unknown: Literal["raise", "ignore"] = "raise"
    format: Literal["json", "float32"] = "json"


class PlainJSON(JSONResponse):
    """JSON in ASCII: what a caller asked for may be text that UTF-8 cannot hold, and the answer names it."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the answer."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Served:
    """The store that is in force, reopened when the pointer file changes; one `stat` per request."""

    def __init__(self, settings: Settings) -> None:
        """Watch the pointer below `settings.published_dir`; nothing need be published yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._stores: dict[str | None, EmbeddingStore] = {}
        self._consumers: dict[tuple[str, str], ApproximateConsumer] = {}

    def store(self, space_id: str | None = None) -> EmbeddingStore:
        """Return the store of a served space, or of the live one.

        Raises:
            MissingArtefact: Nothing was promoted yet.
            SpaceMismatch: `space_id` is not served.
        """
        with self._lock:
            self._follow()
            if space_id not in self._stores:
                days = self._settings.stale_after_days
                self._stores[space_id] = EmbeddingStore(
                    self._settings.published_dir, space_id=space_id, stale_after_days=days
                )
            return self._stores[space_id]

    def indexes(self, snapshot: Snapshot, name: str) -> ApproximateConsumer:
        """Return a consumer's indexes, mapped once per snapshot."""
        consumer = snapshot.consumer(name)
        key = str(consumer.folder), name
        with self._lock:
            if key not in self._consumers:
                self._consumers[key] = ApproximateConsumer(consumer)
            return self._consumers[key]

    def _follow(self) -> None:
        try:
            stat = (self._settings.published_dir / POINTER).stat()
        except FileNotFoundError:
            return
        if (seen := (stat.st_ino, stat.st_mtime_ns)) != self._seen:
            self._stores, self._consumers, self._seen = {}, {}, seen
            logger.info("the pointer has moved, reopening")


def build_app(settings: Settings) -> FastAPI:
    """Return the lookup service of one home."""
    about = "User vectors and rankings of the space that is live."
    app = FastAPI(title="Attune lookups", description=about, default_response_class=PlainJSON)
    served = Served(settings)
    app.add_exception_handler(AttuneError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_request)
    _add_lookups(app, served)
    _add_rankings(app, served)

    @app.get("/status")
    def read_status() -> dict[str, Any]:
        """Return what `python -m serving_export status --json` prints."""
        return status(settings)

    @app.get("/healthz")
    def healthz() -> dict[str, Any]:
        """Return 200 with the live space once something is served, 503 before."""
        pointer = served.store().pointer
        return {"space_id": pointer.live.space_id, "partition": pointer.live.partition, "sequence": pointer.sequence}

    return app


def _add_lookups(app: FastAPI, served: Served) -> None:
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


def _add_rankings(app: FastAPI, served: Served) -> None:
    @app.get("/recommend/{user_id:path}")
    def recommend(
        user_id: str,
        k: Count = 10,
        consumer: str = "matching",
        drop_seen: bool = True,
        on_unknown: OnUnknownUser = "raise",
    ) -> dict[str, Any]:
        """Return a user's best items, best first; `fallback` says that they are those that most users have met."""
        store = served.store()
        name, snapshot = store.answering(user_id, consumer, on_unknown)
        if name == POPULARITY and snapshot.popularity is not None:
            return ranking_json(snapshot.popularity.recommend(user_id, k), snapshot.model(name))
        ranking = served.indexes(snapshot, name).recommend(user_id, k, drop_seen=drop_seen)
        return ranking_json(replace(ranking, consumer=name), snapshot.model(name))

    @app.get("/target/{item_id:path}")
    def target(item_id: str, k: Count = 10, consumer: str = "matching", drop_seen: bool = True) -> dict[str, Any]:
        """Return an item's best users, best first."""
        store = served.store()
        ranking = served.indexes(store.snapshot_of(consumer), consumer).target(item_id, k, drop_seen=drop_seen)
        return ranking_json(replace(ranking, consumer=consumer), store.model(consumer))


def _aligned(found: Embeddings, user_ids: list[str]) -> Floats:
    unknown = set(found.unknown)
    rows = np.full((len(user_ids), found.vectors.shape[1]), np.nan, dtype="<f4")
    rows[[user_id not in unknown for user_id in user_ids]] = found.vectors
    return rows


def _refuse(_: Request, error: Exception) -> JSONResponse:
    code = next((code for kind, code in _STATUS_OF if isinstance(error, kind)), 400)
    return PlainJSON({"error": str(error)}, status_code=code)


def _refuse_request(_: Request, error: Exception) -> JSONResponse:
    """Say where the request is wrong, without what it held: a value may be one that JSON has no word for."""
    assert isinstance(error, RequestValidationError)
    detail = [{name: fault[name] for name in ("type", "loc", "msg")} for fault in error.errors()]
    return PlainJSON({"detail": detail}, status_code=422)
