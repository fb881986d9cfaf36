"""What was served is what the raw logs give; what differs is counted, and too much of it fails."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.packed import unpack_ids
from serving_export.parity import check_parity, is_same
from serving_export.serving_log import ServingLog, log_dir
from tests.walk.chain import walk
from tests.walk.logs import Shape, make
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings


def test_rounding_is_no_difference_and_another_width_is() -> None:
    one = np.ones(4, np.float32)
    assert is_same(one, one + np.float32(1e-6))
    assert not is_same(one, one + np.float32(1e-2))
    assert not is_same(one, np.ones(3, np.float32))


@pytest.mark.walk
@pytest.mark.slow
def test_answers_and_stores_agree_until_one_is_tampered_with(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home"), "ATTUNE_SERVING_LOG_SHARE": "1"})
    shape = Shape(users="picks", items="varied", events="all", sessions=True, num_users=60, num_events=1000)
    assert walk(settings, make(shape)).served
    store = EmbeddingStore(settings.published_dir)
    users = unpack_ids(store.snapshot.user_ids)[:20]
    ServingLog(settings).record(store.lookup(users))
    today = Partition(datetime.now(UTC).date())
    report = check_parity(settings, today)
    assert report["answers"]["compared"] > 0
    assert report["mismatches"] == 0
    stores = report["spaces"][store.space_id]
    assert {name: found["compared"] > 0 for name, found in stores.items()} == {"offline": True, "online": True}
    assert not (settings.home / "parity").exists()

    found = store.lookup(users)
    wrong = dataclasses.replace(found, vectors=found.vectors + np.float32(0.5))
    for path in log_dir(settings).glob("*/*.jsonl"):
        path.unlink()
    ServingLog(settings).record(wrong)
    with pytest.raises(AttuneError, match="differ between stores and raw logs"):
        check_parity(settings, today)
    page = json.loads((settings.reports_dir / "parity" / f"{today}.json").read_text())
    assert page["answers"]["mismatches"] == page["answers"]["compared"] > 0
