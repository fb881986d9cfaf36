"""# refresh_embeddings

Encodes the day's users with the live and the legacy encoder, validates the vectors and publishes the snapshots. It runs
on every event of `user_features`, whatever becomes of the day's retrain: today's users get today's vectors.

- **Skipped.** No space is live yet (the first promotion publishes the first snapshot), or a newer day is served
  already (a backfill never regresses what is served). The log says which.
- **Failed.** The vectors failed their validation, or the disk did. The last snapshot goes on being served, and lookups
  flag it once it is stale. Clear the task when the cause is gone; publishing again changes nothing.
- **Failed: users are missing.** Logs of a day before were lost, or a tenant has left. Restore the logs, or accept the
  loss: `python -m serving_export refresh --partition D --accept-loss "REASON"`.
- **By hand.** `python -m serving_export refresh --partition D`, or trigger with a partition key.
"""

from __future__ import annotations

from airflow.sdk import PartitionedAssetTimetable

from orchestration.assets import PUBLISHED_EMBEDDINGS, SERVING_POOL, USER_FEATURES
from orchestration.defaults import PARTITION, partitioned_dag, step

with partitioned_dag(
    "refresh_embeddings",
    schedule=PartitionedAssetTimetable(assets=USER_FEATURES),
    runbook=__doc__,
    tags=["serving", "daily"],
):

    @step(pool=SERVING_POOL, go_on_if="refreshed", outlet=PUBLISHED_EMBEDDINGS)
    def refresh(partition: str) -> dict:
        from serving_export.jobs import run

        return run("refresh_embeddings", partition)

    refresh(PARTITION)
