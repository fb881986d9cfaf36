"""# build_user_features

Builds the features of one UTC day: waits for the day's logs, lands and checks them, runs dbt, pools taste, validates,
and materialises into Feast. Every run is keyed by **the day whose data it processes**: the run that starts at midnight
has the key of the day that just ended. Everything else follows from its event `user_features`.

- **Schedule.** Daily at 00:00 UTC. `ATTUNE_SCHEDULE=manual` sends no ticks (a home filled with historical logs);
  backfills run either way.
- **Backfill.** Here, in the UI: *Trigger > Backfill*, from the first day to the last, both at 00:00. Loading or
  rebuilding 30 days costs 30 feature builds and one retrain; days older than the newest arrived one are superseded.
  Conf `{"retrain": "every_partition"}` trains each of them all the same.
- **By hand.** *Trigger* with a partition key, YYYY-MM-DD. Without one the run fails at once and says so.
- **`await_logs` waits or fails.** Nothing has arrived whole for this day nor for a later one. After 12 hours it fails:
  ask whoever delivers the logs, put them under `raw/interactions/dt=D/` with `_SUCCESS` written last (or rename whole
  folders there; `ATTUNE_ARRIVAL_MARKER` says which), clear the task. A day without any events counts as arrived once a
  later one has, and the log says so; a day that was begun and not finished is waited for. It fails at once for a
  folder that is no day: rename it.
- **`erase` fails.** Something names an erased user still, or cannot be read: the error says where. No lookup answers
  for them meanwhile; end what writes there, clear the task. Without requests it ends at once.
- **`land` fails.** The log names column, rows and an example; the rows lie in `quarantine/dt=D/`. Correct the delivery,
  or raise `ATTUNE_QUARANTINE_MAX_SHARE`, and clear the task. Ids that restart every day need
  `ATTUNE_EVENT_KEY=event_id_and_day`. An older day that cannot land keeps what landed of it and stops no other: the
  task's notes and `python -m serving_export status` name it, and the command that takes in files that came late.
- **`transform` fails.** A dbt model or test: the log names it. Whom the bot filter dropped stands in its result, all of
  them in `quarantine/dt=D/dropped_users.parquet`. `validate` fails: open the data docs that it names.
- **Meanwhile** yesterday's snapshot is served. Running a day again, in any order, leaves the same bytes.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronPartitionTimetable, chain, task

from orchestration.assets import SERVING_POOL, USER_FEATURES, WAREHOUSE_POOL
from orchestration.defaults import PARTITION, partitioned_dag, step
from orchestration.schedule import schedule_ends

with partitioned_dag(
    "build_user_features",
    schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    runbook=__doc__,
    tags=["features", "daily"],
    end_date=schedule_ends(),
):

    @task.sensor(poke_interval=timedelta(minutes=5), timeout=timedelta(hours=12), mode="reschedule")
    def await_logs(partition: str) -> bool:
        from training.jobs import run

        return run("partition_arrived", partition)["arrived"]

    @step(pool=WAREHOUSE_POOL)
    def erase(partition: str) -> dict:
        from serving_export.jobs import run

        return run("erase_users", partition)

    @step(pool=WAREHOUSE_POOL)
    def land(partition: str) -> dict:
        from training.jobs import run

        return run("land_partition", partition)

    @step(pool=WAREHOUSE_POOL)
    def transform(partition: str) -> dict:
        from training.jobs import run

        return run("transform_partition", partition)

    @step(pool=WAREHOUSE_POOL)
    def pool_taste(partition: str) -> dict:
        from training.jobs import run

        return run("pool_taste", partition)

    @step()
    def validate(partition: str) -> dict:
        from training.jobs import run

        return run("validate_features", partition)

    @step(pool=SERVING_POOL, outlet=USER_FEATURES)
    def materialise(partition: str) -> dict:
        from training.jobs import run

        return run("materialise_features", partition)

    steps = [job(PARTITION) for job in (await_logs, erase, land, transform, pool_taste, validate, materialise)]
    chain(*steps)
