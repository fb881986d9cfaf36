"""Train every consumer of the representation: an Airflow DAG each, from the factory in `orchestration/consumers.py`.

A consumer is one module or package of `training/consumers`, and its name in `training/contracts/consumers.py`; nothing
is added here.
"""

from __future__ import annotations

from training.contracts.consumers import CONSUMERS

from orchestration.consumers import consumer_dag

for consumer in CONSUMERS:
    globals()[f"train_{consumer}"] = consumer_dag(consumer)
