"""Vectors that users had at past moments, as Parquet."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import FastAPI, Response
from pydantic import AfterValidator, Field, model_validator

from serving_export.http.inputs import PinnedBody, Text
from serving_export.http.tally import current_tally
from serving_export.past_rows import in_utc
from serving_export.past_vectors import OnUnknown, PastVectors, Source, write_past
from training.registry.pointer import read_pointer
from training.settings import Settings

MAX_ROWS = 10_000
Moment = Annotated[datetime, AfterValidator(in_utc)]
PARQUET = "application/vnd.apache.parquet"
FORMS: dict[int | str, dict[str, Any]] = {
    200: {"description": "user_id, as_of, space_id, partition, vector.", "content": {PARQUET: {}}}
}


class Rows(PinnedBody):
    """Users at moments, row by row; a moment without a zone is UTC.

    `on_unknown` "null" answers a vector that is null for a user that was not known at its moment, as many are at their
    first event.
    """

    user_ids: list[Text] = Field(max_length=MAX_ROWS)
    as_of: list[Moment] = Field(max_length=MAX_ROWS)
    on_unknown: OnUnknown = "null"

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if len(self.user_ids) != len(self.as_of):
            raise ValueError(f"expected a moment for each user, found {len(self.user_ids)} and {len(self.as_of)}")
        return self


def add_history(app: FastAPI, settings: Settings) -> None:
    """Add `/history`."""
    past = PastVectors(settings.published_dir)

    @app.post("/history", responses=FORMS, response_class=Response)
    def history(rows: Rows) -> Response:
        """Return for each row the vector of the newest retained snapshot that is not after its moment.

        With `frame` they are those that were turned into it, of one space after another, whichever carried it. More
        rows than fit in a request: `python -m serving_export history`, which writes a file of any length.
        """
        space, frame = rows.pin
        live = None if frame else read_pointer(settings.published_dir).live.space_id
        of = Source(space or live, frame)
        current_tally().count(keys=len(rows.user_ids))
        found = past.read(of, rows.user_ids, rows.as_of, rows.on_unknown)
        num_unknown = list(found.partition).count(None)
        current_tally().count(unknown=num_unknown)
        sink = io.BytesIO()
        write_past([found], of, sink)
        headers = {"x-space-id": of.space_id or "", "x-frame": frame or "", "x-unknown": str(num_unknown)}
        return Response(sink.getvalue(), media_type=PARQUET, headers=headers)
