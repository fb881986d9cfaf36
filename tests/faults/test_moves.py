"""Each move of what is served meets a few faults: the whole table is `python -m tests.faults`."""

from __future__ import annotations

import pytest

from tests.faults.choice import share_of
from tests.faults.seam import Fault
from tests.faults.trial import Undisturbed, try_fault, undisturbed
from tests.faults.worlds import JOBS, WorldHomes

NUM = 5
AROUND = ("rename published/ID/dt=D", "rename published/history/D.json", "rename published/pointer.json")
"""The last steps before the commit point, and the commit point."""


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> WorldHomes:
    return WorldHomes(tmp_path_factory.mktemp("faults") / "worlds")


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_what_is_served_is_whole_and_a_second_run_completes(job, homes: WorldHomes) -> None:
    whole = undisturbed(homes, job)
    for fault in _chosen(whole):
        result = try_fault(homes, job, whole, fault)
        assert result.struck, fault
        assert result.wrong == [], fault


@pytest.mark.slow
def test_lookups_are_answered_while_a_promotion_hangs(homes: WorldHomes) -> None:
    promote = JOBS[0]
    whole = undisturbed(homes, promote)
    for place in ("rename published/ID/dt=D", "sync published"):
        result = try_fault(homes, promote, whole, Fault("hang", place))
        assert result.struck
        assert result.wrong == []


def _chosen(whole: Undisturbed) -> list[Fault]:
    """Return a kill on either side of the commit point and errors of each kind, spread over the job."""
    present = [place for place in AROUND if place in whole.places]
    kills = [Fault("kill", place) for place in present] + [Fault("kill", place) for place in _after(whole.places)]
    syncs = [Fault("EIO", place) for place in dict.fromkeys(whole.places) if place.startswith("sync ")]
    writes = [Fault("full", place) for place in dict.fromkeys(whole.places) if place.startswith("write ")]
    return kills + share_of(syncs, NUM // 2) + share_of(writes, NUM // 2)


def _after(places: list[str]) -> list[str]:
    """Return the first place that follows the commit point."""
    commit = places.index(AROUND[-1]) if AROUND[-1] in places else len(places)
    return places[commit + 1 : commit + 2]
