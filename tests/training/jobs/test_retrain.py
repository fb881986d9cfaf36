"""Which partitions train, which keep the live space, which are superseded."""

import dataclasses
from datetime import UTC, datetime

import pytest

from training.contracts.artefacts import SpaceRef
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch
from training.contracts.partitions import Partition
from training.jobs.retrain import gate_candidate, retrain_decision, train_candidate
from training.registry.ledger import Ledger
from training.settings import Settings

DAYS = [Partition.parse(f"2025-11-0{day}") for day in range(1, 8)]


@pytest.fixture
def settings(tmp_path):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    for day in DAYS:
        folder = settings.raw_dir("interactions") / f"dt={day}"
        folder.mkdir(parents=True)
        (folder / "part-0.parquet").write_bytes(b"x")
    return settings


def live_space(settings: Settings, day: Partition) -> SpaceRef:
    ref = SpaceRef(space_id=f"{str(day).replace('-', '')}-00000000", item_space_id="items", partition=str(day))
    Ledger(settings).record_space(ref)
    Ledger(settings).set_space_state(ref.space_id, "live")
    return ref


def test_only_the_newest_arrived_day_trains(settings):
    modes = [retrain_decision(settings, day)["mode"] for day in DAYS]
    assert modes == ["superseded"] * 6 + ["train"]


def test_a_day_whose_logs_still_arrive_supersedes_none(settings):
    today = Partition(datetime.now(UTC).date())
    path = settings.raw_dir("interactions") / f"dt={today}" / "part-0.parquet"
    path.parent.mkdir()
    path.write_bytes(b"x")
    assert retrain_decision(settings, DAYS[-1])["mode"] == "train"
    assert retrain_decision(settings, DAYS[-2])["mode"] == "superseded"


def test_a_superseded_day_does_not_go_on_and_names_the_day_that_trains(settings):
    decision = retrain_decision(settings, DAYS[2])
    assert decision["go_on"] is False
    assert "2025-11-07" in decision["reason"]


@pytest.mark.parametrize("how", ["setting", "conf"])
def test_every_partition_trains_when_asked_to(settings, how):
    if how == "setting":
        settings, conf = dataclasses.replace(settings, retrain="every_partition"), None
    else:
        conf = "every_partition"
    assert all(retrain_decision(settings, day, conf)["mode"] == "train" for day in DAYS)


def test_an_unknown_policy_is_refused(settings):
    with pytest.raises(AttuneError, match="expected retrain as one of latest, every_partition, found 'always'"):
        retrain_decision(settings, DAYS[0], "always")


def test_no_logs_at_all_is_an_error_with_a_remedy(tmp_path):
    empty = Settings.from_env({"ATTUNE_HOME": str(tmp_path / "empty")})
    with pytest.raises(MissingArtefact, match="run import_logs or simulate_logs"):
        retrain_decision(empty, DAYS[0])


@pytest.mark.parametrize(("trained", "mode"), [(7, "train"), (6, "keep"), (5, "keep"), (4, "train")])
def test_between_retrains_the_live_space_is_kept(settings, trained, mode):
    live_space(settings, DAYS[trained - 1])
    every_third = dataclasses.replace(settings, retrain_every_days=3)
    assert retrain_decision(every_third, DAYS[6])["mode"] == mode


def test_a_kept_space_is_offered_as_it_is_and_passes(settings):
    live = live_space(settings, DAYS[5])
    every_third = dataclasses.replace(settings, retrain_every_days=3)
    offered = train_candidate(every_third, DAYS[6])
    assert offered == live.to_dict()
    decision = gate_candidate(every_third, DAYS[6], offered["space_id"])
    assert decision.accepted
    assert decision.checks[0].name == "kept"


def test_a_superseded_day_offers_nothing(settings):
    with pytest.raises(AttuneError, match="expected a partition that trains, found 2025-11-03"):
        train_candidate(settings, DAYS[2])


def test_a_space_that_was_never_recorded_is_not_judged(settings):
    with pytest.raises(MissingArtefact, match="20251107-ffffffff"):
        gate_candidate(settings, DAYS[6], "20251107-ffffffff")


@pytest.mark.parametrize("state", ["candidate", "rejected", "retired", "legacy"])
def test_a_space_of_another_day_passes_as_kept_only_while_it_is_live(settings, state):
    live_space(settings, DAYS[5])
    other = SpaceRef(space_id="20251105-00000000", item_space_id="items", partition=str(DAYS[4]))
    Ledger(settings).record_space(other)
    Ledger(settings).set_space_state(other.space_id, state)
    with pytest.raises(SpaceMismatch, match="expected space 20251106-00000000, found 20251105-00000000"):
        gate_candidate(settings, DAYS[6], other.space_id)
