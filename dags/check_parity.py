"""# check_parity

Holds what was served on a day against the raw logs: a sample of the answers of lookups is computed again point in time
from raw, and of every served space a sample of users is compared packed, offline and online. The account lies in
`reports/parity/<day>.json`.

- **Failed: vectors differ.** More than `ATTUNE_PARITY_MAX_MISMATCHES` of them; the account says in which store.
  *Online*: `python -m serving_export reconcile`, then clear the task. *Offline*: features were built again since;
  refresh the newest day. *Answers*: raw logs of a past day changed after it was served, which its landing has noted, or
  the way from raw to vector has: compare the versions of the code.
- **No answers compared.** The serving log is off (`ATTUNE_SERVING_LOG_SHARE` is 0), or nobody asked; the stores are
  compared all the same.
- **By hand.** Trigger with a partition key: the UTC day on which the answers were given.
"""

from __future__ import annotations

from airflow.sdk import CronPartitionTimetable

from orchestration.assets import SERVING_POOL
from orchestration.defaults import PARTITION, partitioned_dag, step
from orchestration.schedule import schedule_ends

with partitioned_dag(
    "check_parity",
    schedule=CronPartitionTimetable("0 6 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    runbook=__doc__,
    tags=["serving", "daily"],
    end_date=schedule_ends(),
):

    @step(pool=SERVING_POOL)
    def check(partition: str) -> dict:
        from serving_export.jobs import run

        return run("check_parity", partition)

    check(PARTITION)
