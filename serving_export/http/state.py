"""Whether the server is alive, whether it is ready, and what is served."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import FastAPI

from serving_export.http.served import Served
from serving_export.status import status
from training.registry.ledger_tables import LedgerUnavailable
from training.settings import Settings

STATUS_AT_ONCE = 2
STATUS_PATIENCE_S = 1.0


def add_state(app: FastAPI, served: Served, settings: Settings) -> None:
    """Add `/status`, `/healthz` and `/readyz`."""
    asking = threading.BoundedSemaphore(STATUS_AT_ONCE)

    @app.get("/status")
    def read_status() -> dict[str, Any]:
        """Return what `python -m serving_export status --json` prints; 503 while it is asked for often, or locked."""
        if not asking.acquire(blocking=False):
            raise LedgerUnavailable("expected few requests for the status at once, found more; ask again in a second")
        try:
            return status(settings, patience_s=STATUS_PATIENCE_S)
        finally:
            asking.release()

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        """Return 200 while the server runs, whether or not anything is served yet."""
        return {"alive": True}

    @app.get("/readyz")
    def readyz() -> dict[str, Any]:
        """Return 200 with the live space once its snapshot is open, 503 before."""
        pointer = served.store().pointer
        return {"space_id": pointer.live.space_id, "partition": pointer.live.partition, "sequence": pointer.sequence}
