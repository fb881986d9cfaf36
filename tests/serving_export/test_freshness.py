"""An answer is as old as what it knows, and stale above an age."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from serving_export.freshness import Freshness
from training.registry.pointer import PublishedSnapshot

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
ENTRY = PublishedSnapshot(space_id="20261101-aaaaaaaa", partition=YESTERDAY, path="x")


def test_the_age_counts_from_the_end_of_the_day() -> None:
    about = Freshness.of(ENTRY, timedelta(days=2))
    assert timedelta(0) <= about.age < timedelta(days=1, minutes=1)
    assert (about.stale, Freshness.of(ENTRY, timedelta(0)).stale) == (False, True)


def test_it_is_told_as_plain_values() -> None:
    values = json.loads(json.dumps(Freshness.of(ENTRY, timedelta(days=2)).to_json()))
    assert set(values) == {"space_id", "partition", "as_of", "age", "stale"}
    assert values["as_of"].endswith("T00:00:00+00:00")
    assert 0 <= values["age"] <= 86_460
