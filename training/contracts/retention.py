"""Say how long things are kept that are neither served nor needed; standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """Ages in days, counted back from the newest day that was built; 0 keeps for ever.

    Landed days and the log of interactions have no age: the warehouse and every point-in-time read rest on them.

    Attributes:
        raw_days: Days of raw logs that have landed. They are the user's, and stay unless this is set.
        feature_days: Feature snapshots and embeddings; of each month the first one stays, for reads far back.
        model_days: Encoders, item vectors and consumer models that nothing serves, may serve or could return to.
        report_days: Gate pages, data docs and failure pages.
        run_days: MLflow runs and versions of spaces and models that are gone or may go.
    """

    raw_days: int = 0
    feature_days: int = 90
    model_days: int = 90
    report_days: int = 180
    run_days: int = 365
