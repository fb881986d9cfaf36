"""# train_user_encoder

Trains a candidate space on the day's features (item vectors where due, point-in-time training set, autoencoder),
judges it, and offers it to the consumers by its event `candidate_space`.

- **`decide` skipped: superseded.** Logs of a newer day have arrived, so that day trains. Conf
  `{"retrain": "every_partition"}`, on this run or on the backfill that led to it, trains all the same.
- **`gate` skipped: refused.** A normal outcome: the live space goes on being served and refreshed. The reasons are in
  the log and in `reports/gates/`.
- **`train` failed.** The training set broke a contract, or the machine ran out of memory. Nothing was published; clear
  the task. Same inputs, seed and code give the same space.
- **Retrain not due.** With `ATTUNE_RETRAIN_EVERY_DAYS` above 1 the live space is offered again between retrains, and
  the consumers train on it with the day's data.
"""

from __future__ import annotations

from airflow.sdk import PartitionedAssetTimetable

from orchestration.assets import CANDIDATE_SPACE, TRAINING_POOL, USER_FEATURES
from orchestration.defaults import PARTITION, RETRAIN, partitioned_dag, step

with partitioned_dag(
    "train_user_encoder",
    schedule=PartitionedAssetTimetable(assets=USER_FEATURES),
    runbook=__doc__,
    tags=["training", "space"],
):

    @step(go_on_if="go_on")
    def decide(partition: str, retrain: str) -> dict:
        from training.jobs import run

        return run("retrain_decision", partition, retrain=retrain)

    @step(pool=TRAINING_POOL, multiple_outputs=True)
    def train(partition: str, retrain: str) -> dict:
        from training.jobs import run

        return run("train_candidate", partition, retrain=retrain)

    @step(go_on_if="accepted", outlet=CANDIDATE_SPACE)
    def gate(partition: str, space_id: str) -> dict:
        from training.jobs import run

        return run("gate_candidate", partition, space_id=space_id)

    candidate = train(PARTITION, RETRAIN)
    decide(PARTITION, RETRAIN) >> candidate
    gate(PARTITION, candidate["space_id"])
