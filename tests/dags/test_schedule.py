"""Whether ticks are sent is one setting."""

import pytest
from orchestration.schedule import ENDED, schedule_ends


@pytest.mark.parametrize(("schedule", "ends"), [("daily", None), ("manual", ENDED), ("", None)])
def test_a_manual_schedule_has_long_ended(monkeypatch, schedule, ends):
    monkeypatch.setenv("ATTUNE_SCHEDULE", schedule)
    assert schedule_ends() == ends
