"""The warehouse that dbt builds of the small log, built once for every test that only reads."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.training.data.landed_logs import land_small_log, settings_at
from training.contracts.partitions import Partition
from training.data import warehouse
from training.settings import Settings


@dataclass(frozen=True)
class Built:
    """A home whose partitions 2026-01-01 and 2026-01-03 were built and exported."""

    settings: Settings
    first: Partition
    last: Partition


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Shared by every test that only reads; tests that write build a home of their own."""
    settings = settings_at(tmp_path_factory.mktemp("built"))
    land_small_log(settings)
    first, last = Partition.parse("2026-01-01"), Partition.parse("2026-01-03")
    for partition in (first, last):
        warehouse.build(settings, partition)
        warehouse.export_features(settings, partition)
    return Built(settings, first, last)
