"""Point a copied or moved home's MLflow at its own artefacts: MLflow keeps absolute locations in its database."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from training.settings import Settings

logger = logging.getLogger(__name__)

_ARTIFACTS = "/mlflow/artifacts/"
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


def bring_home(settings: Settings) -> None:
    """Replace the old home's folder in every location of the home's own SQLite database; call it with its lock held.

    A database elsewhere, which a server owns, is left alone.
    """
    path = Path(settings.mlflow_uri.removeprefix("sqlite:///"))
    if not settings.mlflow_uri.startswith("sqlite:///") or not path.is_relative_to(settings.home) or not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=60)) as database, database:
        own = settings.home.as_uri() + _ARTIFACTS
        for old in _roots(database) - {own}:
            for table, column in _LOCATIONS:
                database.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",
                    [own, len(old) + 1, len(old), old],
                )
            logger.info("artefacts of MLflow are read from %s now, no longer from %s", own, old)


def _roots(database: sqlite3.Connection) -> set[str]:
    """Return the artefact folders that experiments were made in; none before MLflow has made its tables."""
    if not database.execute("select 1 from sqlite_master where name = 'experiments'").fetchone():
        return set()
    rows = database.execute("select artifact_location from experiments where artifact_location like ?", ["file://%"])
    found = [location for (location,) in rows if _ARTIFACTS in location]
    return {location[: location.rindex(_ARTIFACTS) + len(_ARTIFACTS)] for location in found}
