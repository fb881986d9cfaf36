from pathlib import Path

import pytest

from tests.training.data.landed_logs import event, land, settings_at
from training.contracts.partitions import Partition
from training.data import built_days
from training.settings import Settings
from training.storage import PART

DAYS = [Partition.parse(f"2026-01-0{day}") for day in range(1, 6)]


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    """Days 1 and 3 landed."""
    found = settings_at(tmp_path)
    for day in (DAYS[0], DAYS[2]):
        land(found, "interactions", str(day), [event(f"e{day}", "u", "i", f"{day}T10:00:00")])
    return found


def test_a_new_warehouse_needs_everything_from_the_first_landed_day(config: Settings) -> None:
    assert built_days.unbuilt_range(config, DAYS[3]) == (DAYS[0], DAYS[3])


def test_without_any_landed_day_the_partition_itself_is_built_once(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    assert built_days.unbuilt_range(config, DAYS[1]) == (DAYS[1], DAYS[1])
    built_days.record_built(config, DAYS[1], DAYS[1], DAYS[1])
    assert built_days.unbuilt_range(config, DAYS[1]) is None


def test_what_was_built_is_not_built_again(config: Settings) -> None:
    built_days.record_built(config, DAYS[0], DAYS[2], DAYS[2])
    assert built_days.unbuilt_range(config, DAYS[2]) is None
    assert built_days.unbuilt_range(config, DAYS[0]) is None
    assert built_days.unbuilt_range(config, DAYS[4]) == (DAYS[3], DAYS[4])


def test_a_day_landed_anew_makes_it_and_all_later_days_stale(config: Settings) -> None:
    built_days.record_built(config, DAYS[0], DAYS[4], DAYS[4])
    land(config, "interactions", str(DAYS[1]), [event("late", "u", "i", "2026-01-02T09:00:00")])
    assert built_days.unbuilt_range(config, DAYS[0]) is None
    assert built_days.unbuilt_range(config, DAYS[4]) == (DAYS[1], DAYS[4])


def test_a_landed_day_that_vanished_is_built_again_as_empty(config: Settings) -> None:
    built_days.record_built(config, DAYS[0], DAYS[2], DAYS[2])
    (config.landed_dir("interactions") / f"dt={DAYS[0]}" / PART).unlink()
    assert built_days.unbuilt_range(config, DAYS[2]) == (DAYS[0], DAYS[2])


def test_fingerprints_name_content_not_time_of_writing(config: Settings) -> None:
    before = built_days.landed_fingerprints(config, DAYS[2])
    land(config, "interactions", str(DAYS[0]), [event(f"e{DAYS[0]}", "u", "i", f"{DAYS[0]}T10:00:00")])
    assert built_days.landed_fingerprints(config, DAYS[2]) == before


def test_exported_days_are_left_out_until_built_again_or_lost(config: Settings) -> None:
    built_days.record_built(config, DAYS[0], DAYS[2], DAYS[2])
    days = built_days.unexported_days(config, DAYS[2])
    assert days == DAYS[:3]
    for day in days:
        path = config.features_dir("interactions", day) / PART
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    built_days.record_exported(config, days)
    assert built_days.unexported_days(config, DAYS[2]) == []
    assert built_days.unexported_days(config, DAYS[2], since=DAYS[1]) == DAYS[1:3]
    built_days.record_built(config, DAYS[2], DAYS[2], DAYS[2])
    (config.features_dir("interactions", DAYS[0]) / PART).unlink()
    assert built_days.unexported_days(config, DAYS[2]) == [DAYS[0], DAYS[2]]


def test_current_snapshot_is_none_while_the_marts_are_rebuilt(config: Settings) -> None:
    assert built_days.current_snapshot(config) is None
    built_days.record_snapshot(config, DAYS[1])
    assert built_days.current_snapshot(config) == DAYS[1]
    built_days.record_snapshot(config, None)
    assert built_days.current_snapshot(config) is None


def test_days_that_matched_still_do_once_both_sides_changed_alike(config: Settings) -> None:
    built_days.record_built(config, DAYS[0], DAYS[2], DAYS[2])
    built_days.record_exported(config, DAYS[:2])
    matching = built_days.matching_days(config)
    assert matching == {DAYS[0]: True, DAYS[1]: True, DAYS[2]: False}
    land(config, "interactions", str(DAYS[0]), [event("other", "u", "i", f"{DAYS[0]}T11:00:00")])
    assert built_days.matching_days(config) == {}
    assert built_days.unbuilt_range(config, DAYS[2]) == (DAYS[0], DAYS[2])
    built_days.record_matching(config, matching)
    assert built_days.unbuilt_range(config, DAYS[2]) is None
    assert built_days.matching_days(config) == matching


def test_a_home_without_a_warehouse_matches_nothing(tmp_path: Path) -> None:
    assert built_days.matching_days(settings_at(tmp_path)) == {}
    built_days.record_matching(settings_at(tmp_path), {})
