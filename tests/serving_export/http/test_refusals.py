"""Each error of the library has a status and one line, in which the server's folders are not named."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving_export.http.refusals import add_refusals
from tests.serving_export.world import World
from training.contracts.errors import (
    AttuneError,
    FrameMismatch,
    MissingArtefact,
    SpaceMismatch,
    TransientFailure,
    UnknownConsumer,
    UnknownId,
)
from training.registry.ledger_tables import LedgerUnavailable

NAMED = ("a", "b", "here", "do this")


def refused(world: World, error: Exception) -> Any:
    app = FastAPI()
    add_refusals(app, world.settings)

    @app.get("/{number}")
    def answer(number: int) -> None:
        raise error

    return TestClient(app)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownId("expected x"), 404),
        (UnknownConsumer("a", ["b"], "here", "do this"), 404),
        (SpaceMismatch(*NAMED), 409),
        (FrameMismatch(*NAMED), 409),
        (MissingArtefact("expected x"), 503),
        (LedgerUnavailable("expected x"), 503),
        (TransientFailure("expected x"), 503),
        (AttuneError("expected x"), 400),
    ],
)
def test_each_error_has_its_status(world: World, error: AttuneError, status: int) -> None:
    answer = refused(world, error).get("/1")
    assert (answer.status_code, answer.json()["error"]) == (status, str(error))
    assert answer.json().get("consumers") == (["b"] if isinstance(error, UnknownConsumer) else None)


def test_the_home_is_not_told(world: World) -> None:
    home = world.settings.home
    told = (
        refused(world, AttuneError(f"expected a file at {home}/published/pointer.json below {home}")).get("/1").json()
    )
    assert told == {"error": "expected a file at published/pointer.json below the home"}


def test_input_that_breaks_the_contract_is_not_sent_back(world: World) -> None:
    answer = refused(world, AttuneError("never")).get("/sesame")
    assert answer.status_code == 422
    assert "path.number: Input should be a valid integer" in answer.json()["error"]
    assert "sesame" not in answer.text
