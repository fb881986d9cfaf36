"""Train the consumer `matching`: an Airflow DAG from the factory in `orchestration/consumers.py`, with its runbook."""

from __future__ import annotations

from orchestration.consumers import consumer_dag

dag = consumer_dag("matching")
