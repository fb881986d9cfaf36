"""Vectors of items over HTTP, as the readers of a frame know them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from fastapi import FastAPI, Query, Response
from pydantic import Field, model_validator

from serving_export.answers import items_bytes, items_json
from serving_export.embeddings import FramedItems
from serving_export.http.inputs import OnUnknownItem, OnUnknownVector, Pin, PinnedBody, Text, one_pin
from serving_export.http.served import Served
from serving_export.http.tally import current_tally
from serving_export.http.vectors import ARROW, JSON, MAX_USERS, aligned, as_bytes
from serving_export.vector_bytes import MEDIA_TYPE, Number
from training.contracts.errors import UnknownId

FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The vectors, in the form that was asked for.",
        "content": {JSON: {}, MEDIA_TYPE: {}, ARROW: {}},
    }
}


class Items(PinnedBody):
    """Items to look up in a frame, which must be named: without one, an item has no vector that outlives a retrain.

    `on_unknown`, `format` and `dtype` are those of `/embeddings`.
    """

    item_ids: list[Text] = Field(max_length=MAX_USERS)
    on_unknown: OnUnknownVector = "raise"
    format: Literal["json", "binary", "arrow"] = "json"
    dtype: Number = "float32"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.frame:
            raise ValueError("expected a frame, found none; /spaces names those that are served")
        if self.dtype != "float32" and self.format == "json":
            raise ValueError(f'expected format "binary" or "arrow" with dtype {self.dtype}, found "json"')
        return self


def add_items(app: FastAPI, served: Served) -> None:
    """Add `/items`, for one and for many."""

    @app.get("/items/{item_id:path}/embedding")
    def item_embedding(
        item_id: Text,
        frame: Annotated[str, Query(description="answer from the space that carries this frame")],
        space: str | None = None,
        space_id: str | None = None,
        on_unknown: OnUnknownItem = "raise",
    ) -> dict[str, Any]:
        """Return one item's vector in a frame; an unknown one's is null if asked, else 404."""
        found = _look_up(served, one_pin(space, space_id, frame), [item_id], on_unknown)
        values = items_json(found, [item_id])
        return {**values.pop("items")[0], **{name: values[name] for name in values if name != "unknown"}}

    @app.post("/items", responses=FORMS, response_class=Response)
    def items(batch: Items) -> Response:
        """Return many items' vectors in a frame, as JSON, or as rows in the order asked."""
        found = _look_up(served, batch.pin, batch.item_ids, batch.on_unknown)
        if batch.format == "json":
            asked = batch.item_ids if batch.on_unknown == "null" else ()
            return Response(items_bytes(found, asked), media_type=JSON)
        rows = aligned(found.vectors, found.unknown, batch.item_ids)
        if batch.format == "binary":
            return Response(as_bytes(found, rows, batch.dtype), media_type=MEDIA_TYPE)
        from serving_export.vector_table import stream_items  # pyarrow: only for those who ask

        return Response(stream_items(found, rows, batch.item_ids, batch.dtype), media_type=ARROW)


def _look_up(served: Served, pin: Pin, item_ids: list[str], on_unknown: OnUnknownVector) -> FramedItems:
    store = served.store(*pin)
    served.account(store, keys=len(item_ids), frame=pin.frame)
    found = store.lookup_items(pin.frame or "", item_ids)
    if found.unknown and on_unknown == "raise":
        named = ", ".join(map(repr, found.unknown[:3]))
        raise UnknownId(
            f"expected items known as of {found.as_of:%Y-%m-%d}, found {len(found.unknown)} unknown ({named})"
        )
    current_tally().count(unknown=len(found.unknown))
    return found
