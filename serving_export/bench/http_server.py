"""The lookup server as the benchmark runs it: one worker, without the reconciliation that `serve` starts beside it."""

from __future__ import annotations

from fastapi import FastAPI

from serving_export.http.app import build_app
from training.settings import Settings


def app() -> FastAPI:
    """Return the service of the home that the environment names."""
    return build_app(Settings.from_env())
