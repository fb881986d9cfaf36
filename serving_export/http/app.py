"""Answer lookups and rankings over HTTP from the mapped snapshot."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from serving_export.http.accounting import Accounting
from serving_export.http.body_limit import BodyLimit
from serving_export.http.door import Door
from serving_export.http.events import add_events
from serving_export.http.feast import add_feast
from serving_export.http.guard import Guard, needed_scopes, require_scopes
from serving_export.http.history import add_history
from serving_export.http.items import add_items
from serving_export.http.metrics import Metrics, add_metrics
from serving_export.http.rankings import add_rankings
from serving_export.http.refusals import REFUSALS, add_refusals
from serving_export.http.responses import PlainJSON
from serving_export.http.served import Served
from serving_export.http.similar import add_similar
from serving_export.http.spaces import add_spaces
from serving_export.http.state import add_state
from serving_export.http.vectors import add_vectors
from training.settings import Settings


def build_app(
    settings: Settings, *, keyed: bool = False, num_workers: int = 1, counts_dir: Path | None = None
) -> FastAPI:
    """Return the lookup service of one home.

    Args:
        settings: Where state lives, and the limits of teams.
        keyed: Whether nobody gets in without a token, even while there are no keys.
        num_workers: How many of these answer together.
        counts_dir: Folder in which they keep their counts together; None counts in memory.
    """
    about = "User vectors and rankings of the space that is live."
    app = FastAPIOffline(
        title="Attune lookups", description=about, default_response_class=PlainJSON, responses=REFUSALS
    )
    metrics = Metrics(counts_dir)
    served = Served(settings, metrics.opened)
    app.add_middleware(BodyLimit)  # the last one added is asked first
    app.add_middleware(Guard, door=Door(settings, keyed=keyed, num_workers=num_workers))
    app.add_middleware(Accounting, metrics=metrics)
    add_refusals(app, settings)
    add_vectors(app, served)
    add_items(app, served)
    add_rankings(app, served)
    add_similar(app, served)
    add_spaces(app, served, settings)
    add_history(app, settings)
    add_feast(app, served, settings)
    add_events(app, settings)
    add_state(app, served, settings)
    add_metrics(app, metrics, served)
    require_scopes(app)
    app.openapi = partial(_describe, app)  # type: ignore[method-assign]
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """Return the app's OpenAPI with the token, and the scope that each route needs of it."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                operation["security"] = [{"token": sorted(needed_scopes(path))}] if needed_scopes(path) else []
        app.openapi_schema = schema
    return app.openapi_schema
