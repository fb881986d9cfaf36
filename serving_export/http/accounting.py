"""Account for every request: its line in the log, its counts, and in its answer's head of which space it is.

The outermost layer, so that what is refused is accounted for too. The log knows routes and teams, never ids or tokens.
"""

from __future__ import annotations

import logging
import time

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving_export.http.metrics import Metrics
from serving_export.http.tally import Tally, begin_tally

logger = logging.getLogger("serving_export.access")

UNMATCHED = "unmatched"
"""The route of every path that the app does not have, so that nobody can make up routes."""
CLIENT_GONE = 499


class Accounting:
    """Pass requests on, and note what became of them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Account for what `app` answers in `metrics`."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have one request answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        tally, started, status = begin_tally(), time.perf_counter(), CLIENT_GONE

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                told = list(message.get("headers", ()))
                message["headers"] = told + _heads(tally, {name for name, _ in told})
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception:
            status = 500
            raise
        finally:
            self._note(scope, tally, status, time.perf_counter() - started)

    def _note(self, scope: Scope, tally: Tally, status: int, seconds: float) -> None:
        route = template(scope)
        self._metrics.answered(tally, route, scope["method"], status, seconds)
        logger.info(
            "team=%s method=%s route=%s status=%d ms=%.1f keys=%d",
            *(tally.team, scope["method"], route, status, 1000 * seconds, tally.keys),
        )


def template(scope: Scope) -> str:
    """Return the path of the route that answers a request, its parameters by name."""
    route = scope.get("route")
    if route is None:  # refused before the app has seen it
        matches = (r for r in scope["app"].routes if isinstance(r, Route) and r.matches(scope)[0] is not Match.NONE)
        route = next(matches, None)
    return str(getattr(route, "path", UNMATCHED))


def _heads(tally: Tally, told: set[bytes]) -> list[tuple[bytes, bytes]]:
    """Return what every answer of a snapshot says in its head, as far as its route has not told it."""
    about = tally.about
    if about is None:
        return []
    values = {
        b"x-space-id": about.space_id,
        b"x-frame": about.frame,
        b"x-as-of": about.as_of.isoformat(),
        b"x-age": f"{about.age.total_seconds():.3f}",
        b"x-stale": str(about.stale).lower(),
    }
    return [(name, value.encode()) for name, value in values.items() if name not in told]
