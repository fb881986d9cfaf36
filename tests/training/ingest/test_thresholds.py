"""A day stops when a type or a column of it is lost, though few of all its rows are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.ingest.raw_logs import DAYS, deliver, event, events, home
from training.contracts.errors import ContractViolation
from training.ingest.landing import LandingReport, land
from training.settings import Settings

DAY = DAYS[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home(tmp_path)


def some(count: int, prefix: str, **changes: Any) -> list[dict[str, Any]]:
    return [event(f"{prefix}{n}", DAY, 5, **changes) for n in range(count)]


def landed(settings: Settings, *groups: list[dict[str, Any]]) -> LandingReport:
    deliver(settings, DAY, [row for group in (events(DAY, 1000), *groups) for row in group])
    return land(settings, DAY)


def test_a_known_type_that_is_lost_whole_stops_the_day(settings: Settings) -> None:
    with pytest.raises(ContractViolation, match=r"of the event type purchase in the rows .* found 5 of 5 \(100.0%\)"):
        landed(settings, some(5, "p", event_type="purchase", item_id=None))


def test_a_known_type_of_which_more_than_the_share_is_lost_stops_the_day(settings: Settings) -> None:
    lost = some(25, "p", event_type="purchase", item_id=None)
    with pytest.raises(ContractViolation, match=r"event type purchase in the rows .* found 25 of 125"):
        landed(settings, some(100, "q", event_type="purchase"), lost)


def test_a_type_that_the_contract_does_not_know_stops_the_day_where_it_is_no_noise(settings: Settings) -> None:
    with pytest.raises(ContractViolation, match=r"event type addtocart .* found 25 of 25 .*rename it on import"):
        landed(settings, some(25, "c", event_type="addtocart"))


@pytest.mark.parametrize("lost", [1, 4])
def test_a_few_lost_rows_are_told_by_type_and_stop_nothing(settings: Settings, lost: int) -> None:
    report = landed(settings, some(lost, "c", event_type="addtocart"), some(1, "p", event_type="purchase"))
    assert report.types["addtocart"] == {"landed": 0, "quarantined": lost}
    assert report.types["purchase"] == {"landed": 1, "quarantined": 0}
    assert any(f"{lost} unknown event type; by event type: addtocart {lost} of {lost}" in n for n in report.notes)


def test_a_column_that_is_lost_where_it_is_filled_stops_the_day(settings: Settings) -> None:
    path = deliver(settings, DAY, events(DAY, 1000))
    rows = pq.ParquetFile(path).read()
    cells = pa.array(["4,5"] * 30 + [None] * 970)
    pq.write_table(rows.set_column(rows.column_names.index("event_value"), "event_value", cells), path)
    with pytest.raises(ContractViolation, match=r"column event_value in the rows .* found 30 of 30 .* such as '4,5'"):
        land(settings, DAY)


def test_a_share_of_one_lets_all_pass(tmp_path: Path) -> None:
    report = landed(home(tmp_path, ATTUNE_QUARANTINE_MAX_SHARE="1"), some(30, "c", event_type="addtocart"))
    assert report.quarantined == {"unknown event type": 30}
