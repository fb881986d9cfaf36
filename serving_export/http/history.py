"""Vectors that users had at past moments, as Parquet."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import FastAPI, Response
from pydantic import AfterValidator, Field, model_validator

from serving_export.http.inputs import PinnedBody, Text
from serving_export.http.served import Served
from serving_export.http.tally import current_tally
from serving_export.past_rows import in_utc
from serving_export.past_vectors import OnUnknown, PastVectors, write_past
from training.settings import Settings

MAX_ROWS = 10_000
Moment = Annotated[datetime, AfterValidator(in_utc)]
PARQUET = "application/vnd.apache.parquet"
FORMS: dict[int | str, dict[str, Any]] = {
    200: {"description": "user_id, as_of, partition, vector.", "content": {PARQUET: {}}}
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


def add_history(app: FastAPI, served: Served, settings: Settings) -> None:
    """Add `/history`."""
    past = PastVectors(settings.published_dir)

    @app.post("/history", responses=FORMS, response_class=Response)
    def history(rows: Rows) -> Response:
        """Return for each row the vector of the newest retained snapshot that is not after its moment.

        More rows than fit in a request: `python -m serving_export history`, which writes a file of any length.
        """
        space, frame = rows.pin
        live = served.store(frame=frame)
        served.account(live, keys=len(rows.user_ids))
        space_id = live.space_id if space is None else space
        found = past.read(space_id, rows.user_ids, rows.as_of, rows.on_unknown)
        current_tally().count(unknown=list(found.partition).count(None))
        sink = io.BytesIO()
        write_past([found], space_id, sink)
        headers = {"x-space-id": space_id, "x-unknown": str(list(found.partition).count(None))}
        return Response(sink.getvalue(), media_type=PARQUET, headers=headers)
