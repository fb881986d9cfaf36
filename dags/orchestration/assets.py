"""Name the assets that join the DAGs, and the one-slot pools that keep single-writer stores safe.

An event of an asset carries the partition key, so everything downstream of a partition runs with the same key.
"""

from __future__ import annotations

from airflow.sdk import Asset

USER_FEATURES = Asset("user_features")
CANDIDATE_SPACE = Asset("candidate_space")
PUBLISHED_EMBEDDINGS = Asset("published_embeddings")

WAREHOUSE_POOL = "warehouse"
"""DuckDB takes one writing process."""
SERVING_POOL = "serving"
"""The Feast registry, its online store and the live pointer take one writer at a time."""
TRAINING_POOL = "training"
"""One training at a time has all the cores; two would only slow each other down."""


def model_asset(consumer: str) -> Asset:
    """Return the asset that says that a consumer's model of a partition passed its gate."""
    return Asset(f"model_{consumer}")
