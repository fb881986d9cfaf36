"""Each move of what is served meets a few faults: the whole table is `python -m tests.faults`."""

from __future__ import annotations

import pytest

from tests.faults.choice import share_of
from tests.faults.seam import Fault
from tests.faults.trial import Undisturbed, try_fault, undisturbed
from tests.faults.worlds import JOBS, WorldHomes

NUM = 5
COMMIT = "rename published/pointer.json"


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
    promote = next(job for job in JOBS if job.name == "promote")
    whole = undisturbed(homes, promote)
    for place in ("rename published/ID/dt=D", "sync published"):
        result = try_fault(homes, promote, whole, Fault("hang", place))
        assert result.struck
        assert result.wrong == []


def _chosen(whole: Undisturbed) -> list[Fault]:
    """Return a kill before each rename and just after the commit point, and errors spread over the job."""
    distinct = list(dict.fromkeys(whole.places))
    kills = [place for place in distinct if place.startswith("rename ")] + _after(whole.places)
    syncs = [Fault("EIO", place) for place in distinct if place.startswith("sync ")]
    writes = [Fault("full", place) for place in distinct if place.startswith("write ")]
    errors = share_of(syncs, NUM // 2) + share_of(writes, NUM // 2)
    return [Fault("kill", place) for place in kills] + errors


def _after(places: list[str]) -> list[str]:
    """Return the first place that follows the commit point."""
    commit = places.index(COMMIT) if COMMIT in places else len(places)
    return places[commit + 1 : commit + 2]
