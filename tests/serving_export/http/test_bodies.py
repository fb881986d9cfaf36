"""A body is read as its model, or refused with the place of what is wrong and nothing of what was sent."""

from __future__ import annotations

import asyncio

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.requests import Request

from serving_export.http.bodies import described, read_body


class Model(BaseModel):
    """Numbers."""

    numbers: list[int]


def read(body: bytes) -> Model:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return asyncio.run(read_body(Request({"type": "http", "headers": []}, receive), Model))


def test_a_body_that_fits_is_the_model() -> None:
    assert read(b'{"numbers": [1, 2]}') == Model(numbers=[1, 2])


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"numbers": [1, "secret"]}', ("body", "numbers", 1)),
        (b"{}", ("body", "numbers")),
        (b"secret", ("body",)),
        (b"\xff", ("body",)),
        (rb'{"numbers": ["\ud800"]}', ("body",)),
        (b"", ("body",)),
    ],
)
def test_one_that_does_not_is_placed_and_not_repeated(body: bytes, where: tuple[object, ...]) -> None:
    with pytest.raises(RequestValidationError) as refused:
        read(body)
    [error] = refused.value.errors()
    assert error["loc"] == where
    assert "secret" not in str(error)


def test_the_description_is_the_models() -> None:
    schema = described(Model)["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["numbers"]["type"] == "array"
