"""What a request that cannot be answered gets: one line of what was expected and found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import Send

from serving_export.http.responses import PlainJSON
from serving_export.http.tally import current_tally
from training.contracts.errors import (
    AttuneError,
    MissingArtefact,
    SpaceMismatch,
    TransientFailure,
    UnknownConsumer,
    UnknownId,
)
from training.registry.ledger_tables import LedgerUnavailable
from training.settings import Settings

_STATUS_OF: tuple[tuple[type[AttuneError], int], ...] = (
    (UnknownId, 404),
    (UnknownConsumer, 404),
    (SpaceMismatch, 409),
    (MissingArtefact, 503),
    (LedgerUnavailable, 503),
    (TransientFailure, 503),
)
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request breaks the contract"},
    401: {"description": "A valid token is missing"},
    403: {"description": "The token lacks the scope"},
    404: {"description": "An id or a consumer is unknown"},
    408: {"description": "The body did not come in time"},
    409: {"description": "The space or the frame is not served"},
    413: {"description": "The body is too large"},
    422: {"description": "The request breaks the contract"},
    429: {"description": "The team's rate or quota is used up"},
    503: {"description": "Nothing is served yet, or a store does not answer"},
}
"""What every route may answer beside its own."""


def add_refusals(app: FastAPI, settings: Settings) -> None:
    """Answer errors of the library and input that breaks the contract with a status and one line."""
    app.add_exception_handler(AttuneError, partial(_refuse, settings))
    app.add_exception_handler(RequestValidationError, _refuse_input)


async def send_refusal(send: Send, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
    """Answer in place of the app, before it has read the request."""
    body = json.dumps({"error": error}).encode()
    fixed = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    more = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *more]})
    await send({"type": "http.response.body", "body": body})


def _refuse(settings: Settings, _: Request, error: Exception) -> JSONResponse:
    """Answer with the error's line, in which the server's folders are named no further than the home."""
    code = next((code for kind, code in _STATUS_OF if isinstance(error, kind)), 400)
    text = str(error).replace(f"{settings.home}/", "").replace(str(settings.home), "the home")
    if isinstance(error, UnknownId):
        current_tally().count(unknown=1)
    listed = {"consumers": error.served} if isinstance(error, UnknownConsumer) else {}
    return PlainJSON({"error": text, **listed}, status_code=code)


async def _refuse_input(_: Request, error: Exception) -> JSONResponse:
    """Say where the input is wrong and what was expected there, without sending the input back."""
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:10]]
    text = f"expected a request as /docs describes it, found {'; '.join(found)}"
    return PlainJSON({"error": text}, status_code=422)
