"""One corrupted frame per expectation: each must fail the check that is meant for it, and name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings
from training.validation.runner import validate
from training.validation.suites import SUITES, rules

pytestmark = pytest.mark.integration

PARTITION = Partition.parse("2026-11-05")
AS_OF = pd.Timestamp(PARTITION.as_of)
SPACE = "20261105-1f2e3d4c"
FACTS: dict[str, dict[str, Any]] = {
    "vectors": {"space_id": SPACE, "width": 3, "num_users": 4, "norm_range": (0.5, 2.0)},
    "user_taste": {"item_space_id": "x"},
    "training_set": {"columns": ("tenure_days",), "num_users": 4},
}


@dataclass(frozen=True)
class Spoil:
    suite: str
    check: str
    how: Callable[[pd.DataFrame], pd.DataFrame]

    def __str__(self) -> str:
        return f"{self.suite}-{self.check}"


def put(column: str, value: Any, row: int = 1) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        cells = list(frame[column])
        cells[row] = value
        return frame.assign(**{column: pd.Series(cells, index=frame.index)})

    return change


def drop(column: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.drop(columns=column)


def none_left(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[:0]


VECTOR = np.array([0.6, 0.8, 0.0], np.float32)
SPOILS = [
    Spoil("raw_interactions", "TableColumnsToMatchSet", drop("surface")),
    Spoil("raw_interactions", "TableRowCountToBeBetween", none_left),
    Spoil("raw_interactions", "NotBeNull(user_id)", put("user_id", None)),
    Spoil("raw_interactions", "NotBeNull(occurred_at)", put("occurred_at", pd.NaT)),
    Spoil("raw_interactions", "LengthsToBeBetween(item_id)", put("item_id", "")),
    Spoil("raw_interactions", "InSet(event_type)", put("event_type", "warp")),
    Spoil("raw_interactions", "Between(occurred_at)", put("occurred_at", AS_OF)),
    Spoil("raw_interactions", "Unique(event_id)", lambda frame: frame.assign(event_id="e1")),
    Spoil("user_profile", "InSet(column_with_null)", put("country", None)),
    Spoil("user_profile", "Unique(user_id)", put("user_id", "ann")),
    Spoil("user_profile", "InSet(event_timestamp)", put("event_timestamp", AS_OF - pd.Timedelta("1D"))),
    Spoil("user_profile", "Between(tenure_days)", put("tenure_days", -1)),
    Spoil("user_profile", "TableColumnsToMatchSet", drop("language")),
    Spoil("user_activity", "InSet(falling_count)", put("count_click_7d", 5)),
    Spoil("user_activity", "Between(count_view_1d)", put("count_view_1d", -1)),
    Spoil("user_activity", "Between(share_night_180d)", put("share_night_180d", 1.5)),
    Spoil("user_activity", "InSet(share_of_day_180d)", put("share_night_180d", 0.4)),
    Spoil("user_activity", "Between(count_active_days_1d)", put("count_active_days_1d", 2)),
    Spoil("user_activity", "(count_items_180d,count_categories_180d)", put("count_categories_180d", 1)),
    Spoil("user_activity", "Between(recency_days)", put("recency_days", -0.5)),
    Spoil("user_activity", "InSet(column_with_null)", put("category_entropy_180d", np.nan)),
    Spoil("user_history", "(history_item_ids_length,history_occurred_at_length)", put("history_item_ids", [])),
    Spoil("user_history", "(history_event_types_length,history_item_ids_length)", put("history_item_ids", ["a", "b"])),
    Spoil("user_history", "InSet(is_oldest_first)", lambda f: put("history_occurred_at", f.iat[0, 3][::-1], 0)(f)),
    Spoil("user_history", "Between(last_occurred_at)", put("history_occurred_at", [AS_OF])),
    Spoil("user_history", "Between(history_item_ids_length)", put("history_item_ids", ["a"] * 201)),
    Spoil("user_taste", "Between(taste_content_7d_norm)", put("taste_content_7d", np.array([3, 0], np.float32))),
    Spoil("user_taste", "Between(taste_content_all_norm)", put("taste_content_all", np.array([np.nan, 0], np.float32))),
    Spoil("user_taste", "taste_content_180d_length", put("taste_content_180d", np.array([1.0], np.float32))),
    Spoil("user_taste", "(count_taste_30d,count_taste_7d)", put("count_taste_7d", 3)),
    Spoil("user_taste", "InSet(item_space_id)", put("item_space_id", "y")),
    Spoil("user_onboarding", "Between(count_onboarding)", put("count_onboarding", -1)),
    Spoil("item_popularity", "(count_interactions_7d,count_interactions_1d)", put("count_interactions_1d", 9)),
    Spoil("item_popularity", "(count_interactions_all,count_users_all)", put("count_users_all", 9)),
    Spoil("item_profile", "Unique(item_id)", put("item_id", "ann")),
    Spoil("training_set", "TableColumnsToMatchSet", drop("tenure_days")),
    Spoil("training_set", "TableRowCountToBeBetween", lambda frame: frame.iloc[:3]),
    Spoil("training_set", "Unique(user_id)", put("user_id", "ann")),
    Spoil("training_set", "Between(event_timestamp)", put("event_timestamp", AS_OF + pd.Timedelta("1us"))),
    Spoil("training_set", "InSet(column_with_null)", put("recency_days", np.nan)),
    Spoil("training_set", "Between(count_not_finite)", put("recency_days", np.inf)),
    Spoil("training_set", "Between(count_not_finite)", put("taste_collaborative_7d", np.array([np.nan, 1]))),
    Spoil("vectors", "TableRowCountToBeBetween", lambda frame: frame.iloc[:3]),
    Spoil("vectors", "Unique(user_id)", put("user_id", "ann")),
    Spoil("vectors", "NotBeNull(user_id)", put("user_id", None)),
    Spoil("vectors", "InSet(space_id)", put("space_id", "20261104-00000000")),
    Spoil("vectors", "InSet(event_timestamp)", put("event_timestamp", AS_OF - pd.Timedelta("1D"))),
    Spoil("vectors", "InSet(vector_length)", put("vector", VECTOR[:2])),
    Spoil("vectors", "Between(vector_norm)", put("vector", VECTOR * np.float32(np.nan))),
    Spoil("vectors", "Between(vector_norm)", put("vector", VECTOR * 0)),
    Spoil("vectors", "Between(vector_norm)", put("vector", VECTOR * 9)),
    Spoil("vectors", "TableColumnsToMatchSet", lambda frame: frame.assign(extra=1)),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("home"))})


@pytest.fixture(autouse=True)
def _no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are tested in test_runner; without them a check takes a tenth of the time."""
    from great_expectations.data_context import EphemeralDataContext

    monkeypatch.setattr(EphemeralDataContext, "build_data_docs", lambda *_, **__: {})


@pytest.mark.parametrize("suite", SUITES)
def test_a_good_frame_passes_every_check(
    settings: Settings, good_frame: Callable[[str], pd.DataFrame], suite: str
) -> None:
    checks = validate(settings, suite, good_frame(suite), PARTITION, **FACTS.get(suite, {}))
    assert [check for check in checks if not check.passed] == []
    assert len(checks) == len(rules(suite, PARTITION, FACTS.get(suite))) >= 5


@pytest.mark.parametrize("spoil", SPOILS, ids=str)
def test_a_corrupted_frame_fails_its_check(
    settings: Settings, good_frame: Callable[[str], pd.DataFrame], spoil: Spoil
) -> None:
    frame = spoil.how(good_frame(spoil.suite))
    checks = validate(settings, spoil.suite, frame, PARTITION, **FACTS.get(spoil.suite, {}))
    failed = [check.name for check in checks if not check.passed]
    assert any(spoil.check in name for name in failed), failed


def test_every_suite_has_corrupted_frames() -> None:
    assert {spoil.suite for spoil in SPOILS} == set(SUITES)


def test_an_unknown_suite_or_fact_is_named() -> None:
    with pytest.raises(AttuneError, match="expected a suite among raw_interactions"):
        rules("raw_logs", PARTITION)
    with pytest.raises(AttuneError, match=r"knows the facts space_id, width.*found colour"):
        rules("vectors", PARTITION, {"colour": 1})
