"""Take events and sign-ups over HTTP and append them to the stream."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from serving_export.http.responses import PlainJSON
from serving_export.http.tally import current_tally
from training.contracts.columns import RAW_INTERACTIONS, RAW_USERS
from training.contracts.partitions import Partition
from training.contracts.tombstones import TombstoneFile, Tombstones
from training.settings import Settings

MAX_ROWS = 1_000


class Events(BaseModel):
    """Rows of the raw contract; `event_id` makes a row that is sent again the same event."""

    interactions: list[dict[str, Any]] = Field(default=[], max_length=MAX_ROWS)
    users: list[dict[str, Any]] = Field(default=[], max_length=MAX_ROWS)


def add_events(app: FastAPI, settings: Settings) -> None:
    """Add `/events`."""
    tombstones = TombstoneFile(settings.published_dir)

    @lru_cache(maxsize=1)
    def sink() -> Any:
        from serving_export.stream.redis_streams import RedisSink, connect

        return RedisSink(connect(settings), settings.stream_partitions)

    @app.post("/events", status_code=202)
    def append(events: Events) -> JSONResponse:
        """Append rows, all of them or, where one breaks the contract (422) or the stream is full (503), none.

        They are on their way when this answers; the users' vectors follow within a moment. Rows of users who were
        erased are not appended, nor counted in what was.
        """
        current_tally().count(keys=len(events.interactions) + len(events.users))
        log, erased = sink(), tombstones.read()
        refused = _refused(settings, events)
        if refused:
            text = f"expected rows that keep the raw contract, found {len(refused)} that do not"
            return PlainJSON({"error": text, "refused": refused}, status_code=422)
        taken = {
            RAW_USERS.name: log.append(RAW_USERS.name, _of_others(events.users, erased)),
            RAW_INTERACTIONS.name: log.append(RAW_INTERACTIONS.name, _of_others(events.interactions, erased)),
        }
        return PlainJSON({"appended": taken}, status_code=202)


def _of_others(rows: list[dict[str, Any]], erased: Tombstones) -> list[dict[str, Any]]:
    gone = erased.among([str(row.get("user_id")) for row in rows])
    return [row for row, is_gone in zip(rows, gone, strict=True) if not is_gone]


def _refused(settings: Settings, events: Events) -> list[dict[str, Any]]:
    """Return why rows may not land, by their place in the request."""
    from serving_export.stream.checks import check_rows

    today = Partition(datetime.now(UTC).date())
    return [
        {"table": table.name, "row": one.row, "column": one.column, "reason": one.reason, "remedy": one.remedy}
        for table, rows in ((RAW_USERS, events.users), (RAW_INTERACTIONS, events.interactions))
        for one in check_rows(settings, table, rows, today).refused
    ]
