"""Import what the jobs import, once, so that each child starts with it; nothing here may start a thread."""

from __future__ import annotations

import importlib
import threading

HEAVY = (
    "duckdb",
    "pyarrow.parquet",
    "torch",
    "onnxscript",
    "feast",
    "mlflow",
    "great_expectations",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "usearch.index",
    "scipy.sparse",
    "sqlalchemy",
    "alembic",
    "training.representation.user_encoder",
    "training.consumers.base",
    "training.data.feature_store",
    "training.validation.runner",
    "serving_export.snapshot_writer",
    "serving_export.promote",
    "serving_export.refresh",
    "serving_export.online",
    "serving_export.erasure.erase",
    "serving_export.retention_run",
    "serving_export.parity",
    "serving_export.lookup",
)


def warm() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    assert not others, f"expected no thread before a child is made, found {others}"
