"""# search_negative_samplers

Searches, once a week, which negatives each consumer learns best against, and records the choice with its evidence in
`samplers/<consumer>/<partition>.json`; nothing waits for it. Of that partition and of later ones only `multi_interest`
uses it, where its catalogue is so large that candidates are drawn: `matching` and `cold_start` compare with every item,
and their records are there to be read.

- **Key.** A run on Sunday 00:00 processes the Sunday before, whose logs have had a week to come late.
- **Uniform was recorded.** Too few held-out interactions to choose by, or nothing was better than uniform draws; the
  file's `evidence` says which, with the validation of each.
- **`search` failed.** The interactions of the partition are not there yet, or the machine ran out of memory. Nothing
  was written for the consumer that failed, and trainings go on with the choice before; clear the task. The same
  partition and seed give the same choice.
- **Wrong after all.** Delete the file: the choice before counts again, or uniform without one.
- **By hand.** Trigger with a partition key, or `python -m training.jobs search_negative_samplers --partition D`, with
  `--consumer matching` for one consumer.
"""

from __future__ import annotations

from airflow.sdk import CronPartitionTimetable

from orchestration.assets import TRAINING_POOL
from orchestration.defaults import PARTITION, partitioned_dag, step
from orchestration.schedule import schedule_ends

with partitioned_dag(
    "search_negative_samplers",
    schedule=CronPartitionTimetable("0 0 * * 0", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    runbook=__doc__,
    tags=["training", "weekly"],
    end_date=schedule_ends(),
):

    @step(pool=TRAINING_POOL)
    def search(partition: str) -> dict:
        from training.jobs import run

        return run("search_negative_samplers", partition)

    search(PARTITION)
