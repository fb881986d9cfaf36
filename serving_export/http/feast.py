"""Feast's protocol over HTTP: what a Feast client with `online_store: {type: remote}` asks."""

from __future__ import annotations

import logging
from typing import Self

import anyio
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field, model_validator

from serving_export.http.bodies import described, read_body
from serving_export.http.responses import PlainJSON
from serving_export.http.served import Served
from serving_export.http.tally import current_tally
from serving_export.http.vectors import MAX_USERS
from serving_export.lookup import EmbeddingStore
from serving_export.online_features import OnlineAnswer, OnlineFeatures, OnlineRequest
from training.contracts.errors import MissingArtefact
from training.settings import Settings

logger = logging.getLogger(__name__)
MAX_FEATURES = 200
PACKED_AT_ONCE = 100
"""Rows up to which vectors in JSON are not worth a thread's while."""
JSON = "application/json"


class Asked(BaseModel):
    """The body that Feast's remote online store sends: one of `features` and `feature_service`, and the join keys."""

    entities: dict[str, list[str]] = Field(max_length=10)
    features: list[str] = Field([], max_length=MAX_FEATURES)
    feature_service: str | None = None
    full_feature_names: bool = False
    include_feature_view_version_metadata: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.features) == bool(self.feature_service):
            raise ValueError("expected either features, as view:feature, or a feature_service, found both or neither")
        lengths = sorted({len(column) for column in self.entities.values()})
        if len(lengths) != 1 or lengths[0] > MAX_USERS:
            raise ValueError(f"expected up to {MAX_USERS} rows, every join key in each, found {lengths} of them")
        return self


def add_feast(app: FastAPI, served: Served, settings: Settings) -> None:
    """Add `/get-online-features`."""
    online = OnlineFeatures(settings)
    one_at_a_time = anyio.CapacityLimiter(
        1
    )  # Feast holds the interpreter; more threads of it would only hold up others

    @app.post("/get-online-features", openapi_extra=described(Asked), responses={200: {"content": {JSON: {}}}})
    async def get_online_features(request: Request) -> Response:
        """Return features as Feast's own server does, vectors as every other address here does.

        The first request for anything but vectors loads Feast, which takes some ten seconds.
        """
        body = await read_body(request, Asked)
        asked = OnlineRequest(**body.model_dump(exclude={"include_feature_view_version_metadata"}))
        if asked.vectors_alone:
            rows = len(asked.entities["user_id"])
            is_quick = rows <= PACKED_AT_ONCE and served.is_open()
            packed = (
                _packed(online, served, asked)
                if is_quick
                else await anyio.to_thread.run_sync(_packed, online, served, asked)
            )
            if packed is not None:
                return _answered(packed)
        return await anyio.to_thread.run_sync(_read, online, served, asked, limiter=one_at_a_time)


def _packed(online: OnlineFeatures, served: Served, asked: OnlineRequest) -> OnlineAnswer | None:
    return online.packed(asked, _store(served, asked))


def _read(online: OnlineFeatures, served: Served, asked: OnlineRequest) -> Response:
    """Return Feast's answer, or its refusal in the form from which its client makes the same error."""
    from feast.errors import FeastError

    try:
        return _answered(online.read(asked, _store(served, asked)))
    except FeastError as error:
        status = error.http_status_code()
        return PlainJSON(error.to_error_detail(), status_code=int(status) if status < 500 else 422)
    except (ValueError, KeyError, TypeError) as error:
        return _refused(422, f"expected views, features and join keys of the feature repository, found {error}")
    except Exception as error:  # whatever the online store's driver raises: the caller may try again
        logger.exception("the online store did not answer")
        return _refused(503, f"expected an answer of the online store, found {type(error).__name__}; try again")


def _answered(answer: OnlineAnswer) -> Response:
    current_tally().count(unknown=answer.num_unknown)
    return Response(answer.body, media_type=JSON)


def _store(served: Served, asked: OnlineRequest) -> EmbeddingStore | None:
    """Return what is served, with the rows put to the account of the request; None before the first promotion."""
    try:
        store = served.store()
    except MissingArtefact:
        return None
    tally = current_tally()
    if not tally.keys:  # a request that packed vectors alone do not answer comes here twice
        served.account(store, keys=max(map(len, asked.entities.values())))
    return store


def _refused(status: int, error: str) -> Response:
    return PlainJSON({"error": error}, status_code=status)
