"""What a request that cannot be answered gets: one line of what was expected and found."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from serving_export.http.responses import PlainJSON
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch, TransientFailure, UnknownId
from training.registry.ledger_tables import LedgerUnavailable
from training.settings import Settings

_STATUS_OF: tuple[tuple[type[AttuneError], int], ...] = (
    (UnknownId, 404),
    (SpaceMismatch, 409),
    (MissingArtefact, 503),
    (LedgerUnavailable, 503),
    (TransientFailure, 503),
)


def add_refusals(app: FastAPI, settings: Settings) -> None:
    """Answer errors of the library and input that breaks the contract with a status and one line."""
    app.add_exception_handler(AttuneError, partial(_refuse, settings))
    app.add_exception_handler(RequestValidationError, _refuse_input)


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
