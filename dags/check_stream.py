"""# check_stream

Asks once a day whether events are followed as they happen. Airflow starts nothing of the stream, and nothing waits for
this DAG: a red run says that users are read from their daily vectors, or as of their last events.

- **Skipped.** No stream is set (`ATTUNE_STREAM`): vectors change once a day, as they are meant to.
- **Failed: no worker.** It names the part of the users that nobody follows. Start `python -m serving_export stream`
  (`make up`, or the service `stream` of compose); it goes on where the last one ended, and nothing is lost meanwhile.
- **Failed: entries wait.** The workers are behind. Their metrics say how fast they are; split users among more workers
  by `ATTUNE_STREAM_PARTITIONS`, once the stream is drained.
- **By hand.** `python -m serving_export stream --status` says the same, with dead letters and parity.
"""

from __future__ import annotations

from airflow.sdk import CronPartitionTimetable

from orchestration.defaults import PARTITION, partitioned_dag, step
from orchestration.schedule import schedule_ends

with partitioned_dag(
    "check_stream",
    schedule=CronPartitionTimetable("0 12 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    runbook=__doc__,
    tags=["serving", "daily"],
    end_date=schedule_ends(),
):

    @step(go_on_if="stream")
    def check(partition: str) -> dict:
        from serving_export.jobs import run

        return run("check_stream", partition)

    check(PARTITION)
