"""Answer lookups and rankings over HTTP from the mapped snapshot, following the pointer as it moves."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field

from serving_export.answers import embeddings_json, ranking_json
from serving_export.body_limit import BodyLimit
from serving_export.index import ApproximateConsumer
from serving_export.lookup import Embeddings, EmbeddingStore, OnUnknownUser, Snapshot
from serving_export.packed import Floats
from serving_export.pointer import POINTER
from serving_export.status import status
from training.contracts.consumers import POPULARITY
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch, UnknownId
from training.settings import Settings
from training.spaces.ledger_tables import LedgerUnavailable

logger = logging.getLogger(__name__)

MAX_USERS = 10_000
RETRY_AFTER_S = 2.0
"""Pause before a pointer that could not be followed is tried again."""
STATUS_AT_ONCE = 2
STATUS_PATIENCE_S = 1.0
_STATUS_OF: tuple[tuple[type[AttuneError], int], ...] = (
    (UnknownId, 404),
    (SpaceMismatch, 409),
    (MissingArtefact, 503),
    (LedgerUnavailable, 503),
)
Count = Annotated[int, Query(ge=1, le=1000)]


def _whole(text: str) -> str:
    """Return text that can be encoded; half of a surrogate pair, which JSON can spell, cannot."""
    if not text.isascii() and text.encode("utf-8", "ignore").decode() != text:
        raise ValueError("expected text in Unicode, found half of a surrogate pair")
    return text


Text = Annotated[str, AfterValidator(_whole)]


class Batch(BaseModel):
    """Users to look up; `space_id` refuses vectors of any other space; "float32" answers raw little-endian rows."""

    user_ids: list[Text] = Field(max_length=MAX_USERS)
    space_id: Text | None = None
    on_unknown: Literal["raise", "ignore"] = "raise"
    format: Literal["json", "float32"] = "json"


class PlainJSON(JSONResponse):
    """JSON in ASCII: what a caller asked for may be text that UTF-8 cannot hold, and the answer names it."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the answer."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


@dataclass(frozen=True)
class _Open:
    """One pointer's snapshots, mapped, with the indexes of every consumer in them."""

    store: EmbeddingStore
    indexes: dict[tuple[str, str], ApproximateConsumer]


class Served:
    """The store that is in force, reopened when the pointer file changes; one `stat` per request.

    The next one is opened and held against its checksums while the last one answers, and only then takes its place:
    a pointer or snapshot that cannot be opened changes nothing.
    """

    def __init__(self, settings: Settings) -> None:
        """Watch the pointer below `settings.published_dir`; nothing need be published yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._failed_at = -RETRY_AFTER_S
        self._open: _Open | None = None

    def store(self, space_id: str | None = None) -> EmbeddingStore:
        """Return the store of a served space, or of the live one.

        Raises:
            MissingArtefact: Nothing was promoted yet.
            SpaceMismatch: `space_id` is not served.
        """
        store = self._followed().store
        return store if space_id is None else store.for_space(space_id)

    def indexes(self, snapshot: Snapshot, name: str) -> ApproximateConsumer:
        """Return a consumer's indexes, mapped once per snapshot."""
        consumer = snapshot.consumer(name)
        key = str(consumer.folder), name
        indexes = self._followed().indexes
        if key not in indexes:
            indexes[key] = ApproximateConsumer(consumer)
        return indexes[key]

    def _followed(self) -> _Open:
        """Whoever first sees that the pointer has moved opens what it names; others go on with what is open."""
        opened = self._open
        if opened is not None and not self._has_moved():
            return opened
        if self._lock.acquire(blocking=opened is None):
            try:
                if self._open is None or self._has_moved():
                    self._follow()
            finally:
                self._lock.release()
        assert self._open is not None
        return self._open

    def _follow(self) -> None:
        seen = self._stat()
        try:
            store = EmbeddingStore(self._settings.published_dir, stale_after_days=self._settings.stale_after_days)
            store.verify()
            self._open, self._seen = _Open(store, _index(store)), seen
            logger.info("serving space %s of pointer %d", store.space_id, store.pointer.sequence)
        except Exception as error:
            if self._open is None:
                raise
            self._failed_at = time.monotonic()
            logger.error("the pointer has moved, but what it names cannot be opened; the last goes on: %s", error)

    def _has_moved(self) -> bool:
        return self._stat() != self._seen and time.monotonic() - self._failed_at >= RETRY_AFTER_S

    def _stat(self) -> tuple[int, int] | None:
        try:
            stat = (self._settings.published_dir / POINTER).stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns


def build_app(settings: Settings) -> FastAPI:
    """Return the lookup service of one home."""
    about = "User vectors and rankings of the space that is live."
    app = FastAPI(title="Attune lookups", description=about, default_response_class=PlainJSON)
    served = Served(settings)
    app.add_middleware(BodyLimit)
    app.add_exception_handler(AttuneError, partial(_refuse, settings))
    app.add_exception_handler(RequestValidationError, _refuse_input)
    _add_lookups(app, served)
    _add_rankings(app, served)
    _add_state(app, served, settings)
    return app


def _add_state(app: FastAPI, served: Served, settings: Settings) -> None:
    asking = threading.BoundedSemaphore(STATUS_AT_ONCE)

    @app.get("/status")
    def read_status() -> dict[str, Any]:
        """Return what `python -m serving_export status --json` prints; 503 while it is asked for often, or locked."""
        if not asking.acquire(blocking=False):
            raise LedgerUnavailable("expected few requests for the status at once, found more; ask again in a second")
        try:
            return status(settings, patience_s=STATUS_PATIENCE_S)
        finally:
            asking.release()

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        """Return 200 while the server runs, whether or not anything is served yet."""
        return {"alive": True}

    @app.get("/readyz")
    def readyz() -> dict[str, Any]:
        """Return 200 with the live space once its snapshot is open, 503 before."""
        pointer = served.store().pointer
        return {"space_id": pointer.live.space_id, "partition": pointer.live.partition, "sequence": pointer.sequence}


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
        space_id: str | None = None,
    ) -> dict[str, Any]:
        """Return a user's best items, best first, from `space_id` where it is named.

        `fallback` says that they are those that most users have met.
        """
        store = served.store(space_id)
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


def _index(store: EmbeddingStore) -> dict[tuple[str, str], ApproximateConsumer]:
    """Map every consumer's indexes while their folders are there; retention may remove them later."""
    consumers = [(name, store.snapshot.consumer(name)) for name in store.pointer.live.consumers]
    return {(str(consumer.folder), name): ApproximateConsumer(consumer) for name, consumer in consumers}


def _aligned(found: Embeddings, user_ids: list[str]) -> Floats:
    unknown = set(found.unknown)
    rows = np.full((len(user_ids), found.vectors.shape[1]), np.nan, dtype="<f4")
    rows[[user_id not in unknown for user_id in user_ids]] = found.vectors
    return rows


def _refuse(settings: Settings, _: Request, error: Exception) -> JSONResponse:
    """Answer with the error's line, in which the server's folders are named no further than the home."""
    code = next((code for kind, code in _STATUS_OF if isinstance(error, kind)), 400)
    text = str(error).replace(f"{settings.home}/", "").replace(str(settings.home), "the home")
    return PlainJSON({"error": text}, status_code=code)


async def _refuse_input(_: Request, error: Exception) -> JSONResponse:
    """Say where the input is wrong and what was expected there, without sending the input back."""
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:10]]
    text = f"expected a request as /docs describes it, found {'; '.join(found)}"
    return PlainJSON({"error": text}, status_code=422)
