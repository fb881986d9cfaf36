"""Let in who may ask: a valid token with the scope of the route, within the team's limits, before a body is read.

Plain ASGI, outside of the app: what the app would say of a request's form is for those alone who may ask.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving_export.access.limits import Limits, Refusal
from serving_export.access.tokens import SCOPES, Grant, InvalidToken
from serving_export.http.door import Door
from serving_export.http.refusals import send_refusal
from serving_export.http.tally import current_tally
from training.contracts.errors import AttuneError

OPEN_TO_ALL = ""
SCOPE_OF = {
    "embeddings": "lookup",
    "users": "lookup",
    "items": "lookup",
    "get-online-features": "lookup",
    "recommend": "rank",
    "target": "rank",
    "similar-users": "rank",
    "similar-items": "rank",
    "history": "history",
    "events": "events",
    "status": "status",
    "spaces": "status",
    "metrics": "status",
    "erase": "erase",
    "healthz": OPEN_TO_ALL,
    "readyz": OPEN_TO_ALL,
    "health": OPEN_TO_ALL,
    "docs": OPEN_TO_ALL,
    "redoc": OPEN_TO_ALL,
    "static-offline-docs": OPEN_TO_ALL,
    "openapi.json": OPEN_TO_ALL,
}
"""The scope that a route needs, by the first part of its path; a part that is not here needs them all."""
FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via")


class Guard:
    """Answer 401, 403, 429 or 503 in the app's place, or let the app answer and charge what it has looked up."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        """Guard `app` by what `door` says of tokens and limits."""
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or refuse it before any of its body is read."""
        needed = needed_scopes(scope["path"]) if scope["type"] == "http" else frozenset[str]()
        if not needed or (scope["path"] == "/metrics" and _is_local(scope)):
            await self._app(scope, receive, send)
            return
        if not self._door.is_keyed and (page := foreign_page(scope)):
            await send_refusal(
                send, 403, f"expected this machine's name, found {page}; make keys to be asked otherwise"
            )
            return
        try:
            grant, limits = self._door.grant(scope["headers"])
        except InvalidToken as error:
            await send_refusal(send, 401, str(error), {"www-authenticate": "Bearer"})
            return
        except AttuneError as error:
            await send_refusal(send, 503, str(error))
            return
        current_tally().team = grant.team
        if missing := needed - grant.scopes:
            text = f"expected a token with scope {', '.join(sorted(missing))}, found {_listed(grant)}; ask for one"
            await send_refusal(send, 403, text)
            return
        await self._within(grant, limits, scope, receive, send)

    async def _within(self, grant: Grant, limits: Limits | None, scope: Scope, receive: Receive, send: Send) -> None:
        if limits is None:
            await self._app(scope, receive, send)
            return
        refused = await self._admit(grant.team, limits)
        if refused is not None:
            text = (
                f"expected at most {refused.limit} of {grant.team}, found more; ask again in {refused.retry_after_s} s"
            )
            await send_refusal(send, 429, text, {"retry-after": str(refused.retry_after_s)})
            return
        await self._app(scope, receive, send)
        if num_ids := current_tally().keys:
            await self._charge(grant.team, limits, num_ids)

    async def _admit(self, team: str, limits: Limits) -> Refusal | None:
        """Ask a counter beside the event loop where it is on another machine, which may be slow to answer."""
        if self._door.counts_elsewhere:
            return await to_thread.run_sync(self._door.counter.admit, team, limits)
        return self._door.counter.admit(team, limits)

    async def _charge(self, team: str, limits: Limits, num_ids: int) -> None:
        if self._door.counts_elsewhere:
            await to_thread.run_sync(self._door.counter.charge, team, limits, num_ids)
        else:
            self._door.counter.charge(team, limits, num_ids)


def needed_scopes(path: str) -> frozenset[str]:
    """Return the scopes that a request for a path needs; none for what is open to all."""
    first = path.removeprefix("/").partition("/")[0]
    scope = SCOPE_OF.get(first)
    if scope is None:
        return frozenset(SCOPES)
    return frozenset({scope} - {OPEN_TO_ALL})


def require_scopes(app: FastAPI) -> None:
    """Hold every route against `SCOPE_OF`, so that none is added without saying who may ask.

    Raises:
        AssertionError: A route has no scope.
    """
    without = [r.path for r in app.routes if isinstance(r, Route) and r.path.split("/")[1] not in SCOPE_OF]
    assert not without, f"expected a scope in SCOPE_OF for every route, found none for {', '.join(without)}"


def _listed(grant: Grant) -> str:
    return ", ".join(sorted(grant.scopes)) or "none"


def _is_local(scope: Scope) -> bool:
    """Return whether a process of this machine asks, and no proxy of this machine for somebody else."""
    client = scope.get("client")
    names = {name for name, _ in scope["headers"]}
    is_near = client is not None and is_loopback(client[0])
    return is_near and names.isdisjoint(FORWARDED) and not foreign_page(scope)


def foreign_page(scope: Scope) -> str:
    """Return the host or origin of another name by which a process of this machine asks; empty where there is none.

    A browser here sends what a page from anywhere tells it to: by the page's own name, which the page has let lead to
    this machine (DNS rebinding), or by this machine's name, with the page's as the origin.
    """
    client = scope.get("client")
    if client is None or not is_loopback(client[0]):
        return ""
    told = [(name, value.decode("latin-1")) for name, value in scope["headers"] if name in (b"host", b"origin")]
    foreign = (f"{name.decode()} {value[:100]!r}" for name, value in told if not is_loopback(_host(name, value)))
    return next(foreign, "")


def _host(header: bytes, value: str) -> str:
    """Return the host in a `host` or `origin` line; empty where it is none."""
    try:
        return urlsplit(value if header == b"origin" else f"//{value}").hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own; a name other than localhost may be anyone's."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
