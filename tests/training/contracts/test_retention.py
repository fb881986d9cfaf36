"""The user's own logs stay unless asked; each age has a variable of its own."""

from __future__ import annotations

import pytest

from training.contracts.errors import AttuneError
from training.contracts.retention import RetentionPolicy
from training.settings import Settings


def test_raw_logs_stay_by_default() -> None:
    assert RetentionPolicy().raw_days == 0
    assert Settings.from_env({}).retention == RetentionPolicy()


def test_each_age_is_set_by_its_variable() -> None:
    assert Settings.from_env({"ATTUNE_KEEP_FEATURE_DAYS": "30"}).retention == RetentionPolicy(feature_days=30)
    with pytest.raises(AttuneError, match="ATTUNE_KEEP_RUN_DAYS"):
        Settings.from_env({"ATTUNE_KEEP_RUN_DAYS": "-1"})
