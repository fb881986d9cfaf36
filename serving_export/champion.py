"""Keep MLflow in step with the pointer: the `champion` alias names what is live, and runs are found again by name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from training.registry.pointer import Pointer
from training.settings import Settings

logger = logging.getLogger(__name__)

ENCODER = "user_encoder"
"""MLflow name of the encoder; the run name of a version is its space id, a consumer's is its model version."""


def name_champions(settings: Settings, pointer: Pointer) -> dict[str, str]:
    """Point `champion` at the live space and at its consumers' models; return the MLflow versions that were found.

    A home whose own MLflow was never written has nothing to be named.
    """
    own = settings.mlflow_uri.removeprefix("sqlite:///")
    if own != settings.mlflow_uri and not Path(own).exists():
        return {}
    from training.tracking.mlflow import set_alias

    wanted = {ENCODER: pointer.live.space_id, **pointer.live.versions}
    found = {name: set_alias(settings, name, "champion", run_name) for name, run_name in wanted.items()}
    for name in sorted(name for name, version in found.items() if version is None):
        logger.warning("MLflow has no version %s of %s to call champion", wanted[name], name)
    return {name: version for name, version in found.items() if version is not None}


def find_run(settings: Settings, run_name: str) -> dict[str, Any]:
    """Return the `run_id` and `experiment_id` of the newest MLflow run of a name; empty when there is none."""
    from training.tracking.mlflow import tracking_client

    with tracking_client(settings) as client:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(experiments, f"attributes.run_name = '{run_name}'", max_results=1)
    return {"run_id": runs[0].info.run_id, "experiment_id": runs[0].info.experiment_id} if runs else {}
