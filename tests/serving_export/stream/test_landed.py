"""What the daily logs hold is known by the id, from the day on which it occurred."""

from __future__ import annotations

import pyarrow as pa

from serving_export.stream.landed import LandedEvents, taken_events, taken_sign_ups
from serving_export.stream.state import Event, SignUp
from training.contracts.partitions import Partition
from training.settings import Settings
from training.storage import write_parquet

DAY = Partition.parse("2026-02-13")
NOON = int(DAY.starts_at.timestamp()) * 1_000_000 + 12 * 3_600_000_000
EVENT = Event("e1", "u", "i", "click", None, NOON, None, None, str(DAY))


def land(settings: Settings, day: Partition, *event_ids: str) -> None:
    path = settings.landed_dir("interactions") / f"dt={day}" / "part-0.parquet"
    write_parquet(pa.table({"event_id": pa.array(event_ids, pa.string())}), path)


def test_an_event_is_found_in_the_day_with_which_it_landed(settings: Settings) -> None:
    land(settings, DAY, "e1", "e2")
    land(settings, DAY.shift(1), "late")
    late = EVENT._replace(event_id="late")
    unknown = EVENT._replace(event_id="e3")
    landed = LandedEvents(settings)
    assert landed.days_of([EVENT, late, unknown], DAY.shift(1)) == [str(DAY), str(DAY.shift(1)), None]
    assert landed.days_of([EVENT, late], DAY) == [str(DAY), None]
    assert landed.days_of([EVENT], DAY.shift(-1)) == [None]
    assert landed.days_of([], DAY) == []


def test_a_day_that_landed_again_is_read_again(settings: Settings) -> None:
    land(settings, DAY, "e1")
    landed = LandedEvents(settings)
    assert landed.days_of([EVENT], DAY) == [str(DAY)]
    land(settings, DAY, "e2")
    assert landed.days_of([EVENT], DAY) == [None]


def test_what_no_log_holds_is_given_up_after_some_days(settings: Settings) -> None:
    land(settings, DAY, "e2")
    landed = LandedEvents(settings)
    assert list(taken_events(landed, [EVENT], DAY.shift(2))) == []
    assert list(taken_events(landed, [EVENT], DAY.shift(3))) == [("e1", str(DAY.shift(3)))]


def test_a_sign_up_is_taken_with_a_row_as_new(settings: Settings) -> None:
    one = SignUp("u", NOON, {}, str(DAY))
    path = settings.landed_dir("users") / f"dt={DAY}" / "part-0.parquet"

    def land_users(valid_from: int) -> list[tuple[str, str]]:
        times = pa.array([valid_from], pa.timestamp("us", tz="UTC"))
        write_parquet(pa.table({"user_id": ["u"], "valid_from": times}), path)
        return list(taken_sign_ups(settings, [one], DAY))

    assert list(taken_sign_ups(settings, [one], DAY)) == []
    assert land_users(NOON - 1) == []
    assert land_users(NOON) == [("u", str(DAY))]
    assert land_users(NOON + 1) == [("u", str(DAY))]
