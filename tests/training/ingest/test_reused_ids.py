"""One id with two contents on two days: the first to arrive counts, in whatever order the days land."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.training.ingest.raw_logs import DAYS, deliver, event, events, everything, home, landed_ids, quarantined
from training.contracts.errors import ContractViolation
from training.contracts.partitions import Partition
from training.ingest.landing import land
from training.settings import Settings

REUSED = "id of an earlier day with other content"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home(tmp_path)


def others(day: Partition) -> list[dict[str, object]]:
    """Enough rows without fault that one more in quarantine stops nothing."""
    return events(day, 40, prefix=f"{day}-")


def test_a_reused_id_is_quarantined_with_both_places(settings: Settings) -> None:
    deliver(settings, DAYS[0], [event("x", DAYS[0]), *others(DAYS[0])])
    deliver(settings, DAYS[1], [*others(DAYS[1]), event("x", DAYS[1], item_id="i9")])
    report = land(settings, DAYS[1])
    (row,) = quarantined(settings, DAYS[1])
    assert (row["reason"], row["column"], row["value"], row["row"]) == (REUSED, "event_id", "x", 41)
    assert row["other"] == f"row 1 of raw/interactions/dt={DAYS[0]}/part-0.parquet"
    assert report.quarantined == {REUSED: 1}
    assert "x" in landed_ids(settings, DAYS[0])
    assert "x" not in landed_ids(settings, DAYS[1])


def test_a_repeated_delivery_is_no_conflict(settings: Settings) -> None:
    same = event("x", DAYS[0], event_value=0.0)
    deliver(settings, DAYS[0], [same])
    deliver(settings, DAYS[1], [*others(DAYS[1]), {**same, "event_value": -0.0}])
    assert land(settings, DAYS[1]).quarantined == {}
    assert "x" in landed_ids(settings, DAYS[1])


@pytest.mark.parametrize(
    "change", [{"user_id": "u2"}, {"event_value": 1.0}, {"surface": "home"}, {"surface": "nan"}, {"event_type": "view"}]
)
def test_any_column_makes_another_event(settings: Settings, change: dict[str, object]) -> None:
    deliver(settings, DAYS[0], [event("x", DAYS[0])])
    deliver(settings, DAYS[1], [*others(DAYS[1]), event("x", DAYS[0], **change)])
    assert land(settings, DAYS[1]).quarantined == {REUSED: 1}


def test_over_three_days_the_first_content_counts(settings: Settings) -> None:
    for day, item in zip(DAYS, ["i1", "i2", "i1"], strict=False):
        deliver(settings, day, [event("x", DAYS[0], item_id=item), *others(day)])
    land(settings, DAYS[2])
    assert ["x" in landed_ids(settings, day) for day in DAYS[:3]] == [True, False, True]


def test_the_order_and_repetition_of_landings_do_not_show(tmp_path: Path) -> None:
    ways = []
    for number, order in enumerate(itertools.permutations(DAYS[:3])):
        settings = home(tmp_path / str(number))
        for day in order:
            item = {DAYS[0]: "i1", DAYS[1]: "i2", DAYS[2]: "i2"}[day]
            deliver(settings, day, [event("x", DAYS[0], item_id=item), *others(day)])
            land(settings, day)
        land(settings, DAYS[2])
        ways.append(everything(settings))
    assert all(way == ways[0] for way in ways)


def test_a_day_that_gives_up_an_id_hands_it_to_the_next(settings: Settings) -> None:
    for day, item in zip(DAYS, ["i1", "i2", "i2"], strict=False):
        deliver(settings, day, [event("x", DAYS[0], item_id=item), *others(day)])
    land(settings, DAYS[2])
    deliver(settings, DAYS[0], others(DAYS[0]))
    report = land(settings, DAYS[2])
    assert report.relanded == tuple(map(str, DAYS[:3]))
    assert ["x" in landed_ids(settings, day) for day in DAYS[:3]] == [False, True, True]
    assert quarantined(settings, DAYS[1]) == []


def test_a_late_first_day_judges_days_that_landed_before_it_even_later_than_asked(settings: Settings) -> None:
    deliver(settings, DAYS[1], [event("x", DAYS[0], item_id="i2"), *others(DAYS[1])])
    land(settings, DAYS[1])
    deliver(settings, DAYS[0], [event("x", DAYS[0])])
    report = land(settings, DAYS[0])
    assert (report.landed, report.relanded) == ((str(DAYS[0]),), (str(DAYS[1]),))
    assert "x" not in landed_ids(settings, DAYS[1])


def test_a_landing_cut_short_is_made_up_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hashes of the changed day are written, then the process dies before anything has landed."""
    for day, item in zip(DAYS, ["i1", "i2"], strict=False):
        deliver(settings, day, [event("x", DAYS[0], item_id=item), *others(day)])
    land(settings, DAYS[1])
    deliver(settings, DAYS[0], others(DAYS[0]))
    from training.ingest import landing

    with monkeypatch.context() as patch:
        patch.setattr(landing, "_otherwise", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            land(settings, DAYS[1])
    land(settings, DAYS[1])
    assert "x" in landed_ids(settings, DAYS[1])


def test_ids_that_restart_every_day_stop_the_day_and_the_message_names_the_setting(settings: Settings) -> None:
    for day in DAYS[:3]:
        deliver(settings, day, events(day, 50))
    with pytest.raises(ContractViolation, match=r"found 50 of 50 .*row 1 of raw/.*ATTUNE_EVENT_KEY=event_id_and_day"):
        land(settings, DAYS[2])
    assert [len(landed_ids(settings, day)) for day in DAYS[:3]] == [50, 0, 0]


class TestIdsOfOneDay:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return home(tmp_path, ATTUNE_EVENT_KEY="event_id_and_day")

    def test_each_day_has_its_own_events(self, settings: Settings) -> None:
        for day in DAYS[:3]:
            deliver(settings, day, events(day, 50))
        land(settings, DAYS[2])
        assert len({name for day in DAYS[:3] for name in landed_ids(settings, day)}) == 150

    def test_a_repetition_on_a_later_day_is_still_the_same_event(self, settings: Settings) -> None:
        deliver(settings, DAYS[0], events(DAYS[0], 5))
        deliver(settings, DAYS[1], [*events(DAYS[1], 50), *[event("f", DAYS[0], 3)]])
        deliver(settings, DAYS[2], [*events(DAYS[2], 50), event("f", DAYS[0], 3)])
        land(settings, DAYS[2])
        again = set(landed_ids(settings, DAYS[1])) & set(landed_ids(settings, DAYS[2]))
        assert again == {f"f@{DAYS[0]}T01:03:00.000000"}

    def test_within_a_day_an_id_with_two_contents_is_a_conflict(self, settings: Settings) -> None:
        deliver(settings, DAYS[0], [*events(DAYS[0], 50), event("7", DAYS[0], 55)])
        land(settings, DAYS[0])
        (row,) = quarantined(settings, DAYS[0])
        assert row["other"] == f"row 8 of raw/interactions/dt={DAYS[0]}/part-0.parquet"

    def test_another_setting_lands_every_day_again(self, settings: Settings, tmp_path: Path) -> None:
        deliver(settings, DAYS[0], events(DAYS[0], 5))
        land(settings, DAYS[0])
        assert land(home(tmp_path), DAYS[0]).relanded == (str(DAYS[0]),)
        assert landed_ids(settings, DAYS[0]) == list("01234")


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.lists(st.tuples(*[st.sampled_from("-ab")] * 3), min_size=1, max_size=3),
    order=st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=5),
)
def test_what_landed_is_what_the_rule_says_whatever_the_way(
    contents: list[tuple[str, str, str]], order: list[int], tmp_path: Path
) -> None:
    """`contents` holds for each of some ids its content on each of three days, or - for none."""
    shutil.rmtree(tmp_path)
    settings = home(tmp_path, ATTUNE_QUARANTINE_MAX_SHARE="1")
    for number in [*order, 0, 1, 2]:
        day = DAYS[number]
        rows = [
            event(f"x{n}", DAYS[0], item_id=found[number]) for n, found in enumerate(contents) if found[number] != "-"
        ]
        deliver(settings, day, [event(f"{day}", day), *rows])
        land(settings, day)
    for number, day in enumerate(DAYS[:3]):
        firsts = [next((letter for letter in found if letter != "-"), "-") for found in contents]
        kept = [f"x{n}" for n, found in enumerate(contents) if found[number] != "-" and found[number] == firsts[n]]
        assert landed_ids(settings, day) == sorted([str(day), *kept])
