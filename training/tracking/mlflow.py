"""Log runs, register versions and move aliases in MLflow; nothing else in the project talks to it.

The schema is created once, under a file lock: two processes that meet a fresh database would both try.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import numpy.typing as npt

from training.contracts.errors import AttuneError
from training.settings import Settings
from training.storage import exclusive
from training.tracking.moved_home import bring_home

logger = logging.getLogger(__name__)
_SCHEMA_TIMEOUT_S = 300.0
_ANSWER_WITHIN_S = 5.0
_CLIENT_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


class TrackingUnavailable(AttuneError):
    """The MLflow server did not answer."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything that a training run leaves behind.

    Attributes:
        model_name: Experiment and registered model.
        run_name: Version of the artefact, such as a space id.
        params: Configuration, flat or nested; nested keys are joined by dots.
        metrics: Final figures.
        curves: One list of values per curve, logged per epoch.
        tags: At least `space_id` and `partition`.
        files: Folder whose files are kept as artefacts, pictures included.
        onnx_path: Model to log and register; None registers none.
        register_files: Whether to register the folder `files` itself, for a model that is no ONNX graph.
        example: Input rows of the signature, float32 [N, F].
    """

    model_name: str
    run_name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Path | None = None
    onnx_path: Path | None = None
    example: npt.NDArray[np.float32] | None = None
    register_files: bool = False


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """Where a record went; `version` is empty when nothing was registered."""

    run_id: str
    model_name: str
    version: str


def log_run(settings: Settings, record: RunRecord) -> LoggedRun:
    """Log a record and register its model; the same run name twice returns the first version."""
    with tracking_client(settings) as client:
        known = _find_version(client, record)
        if known is not None:
            return known
        experiment_id = _experiment(settings, client, record.model_name)
        _discard_unfinished(client, experiment_id, record.run_name)
        run = client.create_run(experiment_id, run_name=record.run_name, tags=dict(record.tags))
        with _failed_unless_whole(client, run.info.run_id):
            _log_values(client, run.info.run_id, record)
            version = _register_any(client, run.info.run_id, record)
        client.set_terminated(run.info.run_id)
    logger.info("logged %s %s to MLflow as version %s", record.model_name, record.run_name, version or "(none)")
    return LoggedRun(run_id=run.info.run_id, model_name=record.model_name, version=version)


@contextmanager
def _failed_unless_whole(client: Any, run_id: str) -> Iterator[None]:
    """Leave a run that could not be logged whole as failed, as far as MLflow still answers."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # what went wrong is raised below; MLflow itself may be what is down
            client.set_terminated(run_id, "FAILED")
        raise


def _discard_unfinished(client: Any, experiment_id: str, run_name: str) -> None:
    """Delete the runs of a name that were cut short: the one that is logged now takes their place."""
    for run in client.search_runs([experiment_id], f"attributes.run_name = '{run_name}'"):
        if run.info.status != "FINISHED":
            client.delete_run(run.info.run_id)


def set_alias(settings: Settings, model_name: str, alias: str, run_name: str) -> str | None:
    """Point `champion` or `challenger` at the version of a run name; return that version, None if unknown."""
    with tracking_client(settings) as client:
        for version in client.search_model_versions(f"name='{model_name}'"):
            if version.tags.get("run_name") == run_name:
                client.set_registered_model_alias(model_name, alias, version.version)
                return str(version.version)
    return None


def aliases(settings: Settings, model_name: str) -> dict[str, str]:
    """Return the run name behind each alias of a registered model; empty for an unknown one."""
    with tracking_client(settings) as client:
        found = client.search_registered_models(f"name='{model_name}'")
        named = found[0].aliases if found else {}
        return {
            alias: client.get_model_version(model_name, str(version)).tags.get("run_name", "")
            for alias, version in sorted(named.items())
        }


def delete_versions(settings: Settings, names: Sequence[tuple[str, str]]) -> int:
    """Delete registered versions with runs, logged models and files by (model, run name), and return how many.

    One that bears an alias stays. Files outside the home are left to `mlflow gc`, which also empties the run table.
    """
    deleted = 0
    with tracking_client(settings) as client:
        for model_name, run_name in names:
            found = client.search_registered_models(f"name='{model_name}'")
            aliased = {str(version) for version in found[0].aliases.values()} if found else set()
            for version in client.search_model_versions(f"name='{model_name}'"):
                if version.tags.get("run_name") != run_name or str(version.version) in aliased:
                    continue
                client.delete_model_version(model_name, version.version)
                _delete_run(settings, client, version.run_id)
                deleted += 1
    return deleted


def _delete_run(settings: Settings, client: Any, run_id: str) -> None:
    """Delete a run and the models that it logged, with their files."""
    run = client.get_run(run_id)
    for logged in run.outputs.model_outputs if run.outputs else ():
        location = client.get_logged_model(logged.model_id).artifact_location
        client.delete_logged_model(logged.model_id)
        _remove_artefacts(settings, location)
    client.delete_run(run_id)
    _remove_artefacts(settings, run.info.artifact_uri)


def _remove_artefacts(settings: Settings, uri: str) -> None:
    """Remove the folder of a run or logged model, which holds `artifacts` alone, from the home."""
    folder = Path(uri.removeprefix("file://")).parent
    if uri.startswith("file://") and folder.is_relative_to(settings.home / "mlflow"):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def tracking_client(settings: Settings) -> Iterator[Any]:
    """Yield an MLflow client whose database schema is there.

    Raises:
        TrackingUnavailable: The MLflow server does not answer; its own client would try for minutes.
    """
    for name, value in _CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    _require_server(settings.mlflow_uri)
    from mlflow import MlflowClient

    with _schema_lock(settings):
        bring_home(settings)
        client = MlflowClient(tracking_uri=settings.mlflow_uri, registry_uri=settings.mlflow_uri)
        client.search_experiments(max_results=1)
    yield client


@contextmanager
def _schema_lock(settings: Settings) -> Iterator[None]:
    with exclusive(settings.home / "mlflow" / ".schema.lock", timeout_s=_SCHEMA_TIMEOUT_S):
        yield


def _require_server(uri: str) -> None:
    if not uri.startswith(("http://", "https://")):
        return
    try:
        with urlopen(f"{uri.rstrip('/')}/health", timeout=_ANSWER_WITHIN_S):
            return
    except HTTPError:
        return  # it answers, and its client says what it refuses
    except OSError as error:
        raise TrackingUnavailable(
            f"expected MLflow to answer at {uri} within {_ANSWER_WITHIN_S:g} s, found {error}; start it, or set "
            "ATTUNE_MLFLOW_URI"
        ) from error


def _experiment(settings: Settings, client: Any, name: str) -> str:
    with _schema_lock(settings):
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = (settings.home / "mlflow" / "artifacts" / name).as_uri()
        return str(client.create_experiment(name, artifact_location=location))


def _find_version(client: Any, record: RunRecord) -> LoggedRun | None:
    for version in client.search_model_versions(f"name='{record.model_name}'"):
        if version.tags.get("run_name") == record.run_name:
            return LoggedRun(run_id=version.run_id, model_name=record.model_name, version=str(version.version))
    return None


def _log_values(client: Any, run_id: str, record: RunRecord) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(key, str(value)[:500]) for key, value in sorted(flatten(record.params).items())]
    metrics = [Metric(key, float(value), 0, 0) for key, value in sorted(record.metrics.items())]
    metrics += [
        Metric(name, float(value), 0, step) for name, curve in record.curves.items() for step, value in enumerate(curve)
    ]
    for start in range(0, max(len(params), len(metrics)), 90):
        client.log_batch(run_id, metrics=metrics[start : start + 90], params=params[start : start + 90])
    if record.files is not None:
        client.log_artifacts(run_id, str(record.files), artifact_path="files")


def _register_any(client: Any, run_id: str, record: RunRecord) -> str:
    if record.onnx_path:
        return _register(client, run_id, record)
    return _register_files(client, run_id, record) if record.register_files else ""


def _register_files(client: Any, run_id: str, record: RunRecord) -> str:
    """Register the run's folder `files` and return the version."""
    if not client.search_registered_models(f"name='{record.model_name}'"):
        client.create_registered_model(record.model_name)
    source = f"{client.get_run(run_id).info.artifact_uri}/files"
    tags = {**record.tags, "run_name": record.run_name}
    return str(client.create_model_version(record.model_name, source, run_id, tags=tags).version)


def _register(client: Any, run_id: str, record: RunRecord) -> str:
    """Log the ONNX model with its signature into the run and return the registered version."""
    import mlflow
    import onnx
    import onnxruntime

    example = record.example if record.example is not None else np.zeros((0, 0), np.float32)
    session = onnxruntime.InferenceSession(str(record.onnx_path), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {session.get_inputs()[0].name: example})[0]
    signature = mlflow.models.infer_signature(example, outputs)
    previous = mlflow.get_tracking_uri()
    try:
        mlflow.set_tracking_uri(client.tracking_uri)
        with mlflow.start_run(run_id=run_id):
            info = mlflow.onnx.log_model(
                onnx.load(str(record.onnx_path)),
                name="encoder",
                signature=signature,
                registered_model_name=record.model_name,
                pip_requirements=["onnxruntime"],
            )
    finally:
        mlflow.set_tracking_uri(previous)
    version = str(info.registered_model_version)
    for key, value in {**record.tags, "run_name": record.run_name}.items():
        client.set_model_version_tag(record.model_name, version, key, value)
    return version


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one level, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return flat
