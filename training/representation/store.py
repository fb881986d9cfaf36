"""Store a trained space whole or not at all, and log it to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from training.contracts.artefacts import SpaceRef
from training.representation.encoder_file import export_encoder
from training.representation.fit import FittedEncoder, UserEncoderConfig
from training.settings import Settings
from training.storage import new_dir, write_json
from training.tracking.mlflow import RunRecord, log_run
from training.tracking.pictures import draw_bars, draw_curves


@dataclass(frozen=True, kw_only=True)
class SpaceContent:
    """What a space folder holds; `sample` rows are those that torch and ONNX are compared on."""

    ref: SpaceRef
    fitted: FittedEncoder
    config: UserEncoderConfig
    evaluation: dict[str, Any]
    snapshots: tuple[str, ...]
    sample: pd.DataFrame


def save_space(settings: Settings, content: SpaceContent, model_name: str) -> None:
    """Write the space folder and register the encoder.

    Raises:
        AttuneError: The ONNX encoder differs from torch by more than the tolerance; nothing is written.
    """
    target = settings.space_dir(content.ref.space_id)
    if not target.exists():
        with new_dir(target) as folder:
            _write(folder, content)
    log_run(settings, _record(target, content, model_name))


def _write(folder: Path, content: SpaceContent) -> None:
    fitted = content.fitted
    sample, _ = fitted.assembler.transform(content.sample)
    model = fitted.trained.model
    parity = export_encoder(model, folder / "encoder.onnx", sample, content.config.parity_tolerance)
    torch.save(model.state_dict(), folder / "encoder.pt")
    fitted.assembler.save(folder)
    write_json(content.evaluation, folder / "evaluation.json")
    draw_curves(fitted.trained.curves, f"Autoencoder of {content.ref.space_id}", folder / "curves.png")
    _draw_seven_day(content.evaluation["seven_day"], folder / "seven_day.png")
    write_json(_manifest(content) | {"onnx_parity": parity}, folder / "manifest.json")


def _manifest(content: SpaceContent) -> dict[str, Any]:
    fitted = content.fitted
    return content.ref.to_dict() | {
        "width": content.config.training.model.latent,
        "num_columns": fitted.assembler.layout.num_columns,
        "training_snapshots": list(content.snapshots),
        "data_hash": fitted.data_hash,
        "best_epoch": fitted.trained.best_epoch,
        "warm_started": fitted.trained.warm_started,
        "config": asdict(content.config),
    }


def _record(folder: Path, content: SpaceContent, model_name: str) -> RunRecord:
    fitted = content.fitted
    sample, _ = fitted.assembler.transform(content.sample.head(8))
    return RunRecord(
        model_name=model_name,
        run_name=content.ref.space_id,
        params=asdict(content.config) | {"data_hash": fitted.data_hash},
        metrics=_metrics(content.evaluation),
        curves=fitted.trained.curves,
        tags={"space_id": content.ref.space_id, "partition": content.ref.partition},
        files=folder,
        onnx_path=folder / "encoder.onnx",
        example=sample,
    )


def _metrics(evaluation: Mapping[str, Any]) -> dict[str, float]:
    metrics = {f"reconstruction.{name}": value for name, value in evaluation["reconstruction"].items()}
    metrics["effective_rank"] = evaluation["vectors"]["effective_rank"]
    for name, figures in evaluation["seven_day"].get("representations", {}).items():
        metrics |= {f"seven_day.{name}.{key}": figures[key] for key in ("auc", "accuracy", "auc_gain_relative")}
    return metrics


def _draw_seven_day(comparison: Mapping[str, Any], path: Path) -> None:
    table = comparison.get("representations", {})
    values = {name: figures["auc"] for name, figures in table.items()}
    intervals = {name: figures["auc_interval"] for name, figures in table.items()}
    title = f"Seven-day AUC ({comparison['evidence']})"
    draw_bars(values, intervals, title, path)
