"""Answer lookups and rankings over HTTP from the mapped snapshot."""

from __future__ import annotations

from fastapi import FastAPI

from serving_export.http.body_limit import BodyLimit
from serving_export.http.events import add_events
from serving_export.http.rankings import add_rankings
from serving_export.http.refusals import add_refusals
from serving_export.http.responses import PlainJSON
from serving_export.http.served import Served
from serving_export.http.state import add_state
from serving_export.http.vectors import add_vectors
from training.settings import Settings


def build_app(settings: Settings) -> FastAPI:
    """Return the lookup service of one home."""
    about = "User vectors and rankings of the space that is live."
    app = FastAPI(title="Attune lookups", description=about, default_response_class=PlainJSON)
    served = Served(settings)
    app.add_middleware(BodyLimit)
    add_refusals(app, settings)
    add_vectors(app, served)
    add_rankings(app, served)
    add_events(app, settings)
    add_state(app, served, settings)
    return app
