"""What a spawned process of a test runs; in a module of its own, so that the process imports nothing else."""

from training.settings import Settings
from training.tracking.mlflow import tracking_client


def count_experiments(home: Settings) -> int:
    with tracking_client(home) as client:
        return len(client.search_experiments())
