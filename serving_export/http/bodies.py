"""Read a request's body as a model: one pass in compiled code, with the model in the OpenAPI."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model]) -> Model:
    """Return the body of a request, which is JSON whatever its content type says.

    Raises:
        RequestValidationError: It is no JSON in Unicode, or breaks the model.
    """
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from error


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return what the OpenAPI says of a route that reads a model by `read_body`."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}
