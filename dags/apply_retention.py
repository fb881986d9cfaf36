"""# apply_retention

Removes what is older than the policy keeps (`ATTUNE_KEEP_*`) and what nothing needs: never what is served, offered,
pinned, what a rollback could return to, or what a point-in-time read rests on. `plan` says beforehand in its log and
result how much of each kind would go.

- **Skipped.** Nothing is old enough, or no space is live yet.
- **Failed: derived files are being read.** It tries again by itself; clear the task once the training is over.
- **What would go, one by one.** `python -m serving_export retention --dry-run`.
- **Keep all.** Set the ages to 0, or pause this DAG; nothing waits for it.
"""

from __future__ import annotations

from airflow.sdk import CronPartitionTimetable

from orchestration.assets import SERVING_POOL
from orchestration.defaults import PARTITION, partitioned_dag, step
from orchestration.schedule import schedule_ends

with partitioned_dag(
    "apply_retention",
    schedule=CronPartitionTimetable("0 18 * * 0", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    runbook=__doc__,
    tags=["serving", "weekly"],
    end_date=schedule_ends(),
):

    @step(go_on_if="total")
    def plan(partition: str) -> dict:
        from serving_export.jobs import run

        return run("plan_retention", partition)

    @step(pool=SERVING_POOL)
    def apply(partition: str) -> dict:
        from serving_export.jobs import run

        return run("apply_retention", partition)

    plan(PARTITION) >> apply(PARTITION)
