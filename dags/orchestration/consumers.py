"""Build the DAG of a consumer model: train on the candidate space, judge, register.

Adding a consumer takes its recipe and its name in `training.contracts.consumers`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable

from orchestration.assets import CANDIDATE_SPACE, TRAINING_POOL, model_asset
from orchestration.defaults import PARTITION, SPACE, partitioned_dag, step

RUNBOOK = """# train_{consumer}

Trains `{consumer}` on the candidate space of the partition, judges it against its baselines and its champion, and
registers it. Its event `model_{consumer}` lets `promote_space` go on once every required consumer has one.

- **`gate` skipped: refused.** The live space goes on being served, with the models that belong to it; the reasons are
  in the log and in `reports/gates/`. Nothing is promoted for this partition.
- **`gate` says "not applicable".** The log gives `{consumer}` nothing to learn from; what it lacks stands in
  `reports/gates/`. Where `training/contracts/consumers.py` says that `{consumer}` may be absent, the promotion goes on
  without it; else `gate` is skipped and nothing is promoted.
- **`train` failed.** Read the log's last line; clear the task when the cause is gone. A rerun gives the same model.
- **By hand.** Trigger with a partition key and conf `{{"space_id": "..."}}`; without the conf it takes the candidate of
  that partition.
"""


def consumer_dag(consumer: str, **options: Any) -> DAG:
    """Return the DAG `train_<consumer>`.

    Args:
        consumer: Name of the consumer's recipe.
        options: Options of the training job, passed on as they are.
    """
    dag = partitioned_dag(
        f"train_{consumer}",
        schedule=PartitionedAssetTimetable(assets=CANDIDATE_SPACE),
        runbook=RUNBOOK.format(consumer=consumer),
        tags=["training", "consumer"],
    )
    with dag:

        @step(pool=TRAINING_POOL, multiple_outputs=True)
        def train(partition: str, space_id: str) -> dict:
            from training.jobs import run

            return run("train_consumer", partition, consumer=consumer, space_id=space_id, **options)

        @step(go_on_if="go_on", outlet=model_asset(consumer))
        def gate(partition: str, version: str) -> dict:
            from training.jobs import run

            return run("gate_consumer", partition, consumer=consumer, version=version)

        model = train(PARTITION, SPACE)
        gate(PARTITION, model["version"])
    return dag
