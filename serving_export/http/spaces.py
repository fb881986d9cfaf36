"""The spaces that are served, over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from serving_export.http.served import Served
from serving_export.past_vectors import PastVectors
from serving_export.spaces import served_frames, served_spaces
from training.settings import Settings


def add_spaces(app: FastAPI, served: Served, settings: Settings) -> None:
    """Add `/spaces`."""
    past = PastVectors(settings.published_dir)

    @app.get("/spaces")
    def spaces() -> dict[str, Any]:
        """Return every served space: its age, consumers, what fewer bits lose, and the days that `/history` reads.

        And every frame that they carry, with the space that answers for it.
        """
        store = served.store()
        frames = served_frames(store, past)
        return {"sequence": store.pointer.sequence, "spaces": served_spaces(store, past), "frames": frames}
