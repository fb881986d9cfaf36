"""The job table and `run`: names, partitions and options are checked before anything is done."""

import inspect

import pytest

from training.contracts.artefacts import Check, GateDecision, SpaceRef
from training.contracts.errors import AttuneError, UsageError
from training.contracts.partitions import Partition
from training.jobs import JOBS, as_json, check_options, find, require_partition, run


@pytest.mark.parametrize("job", JOBS)
def test_every_listed_job_exists_takes_settings_and_a_partition_and_says_what_it_returns(job):
    function = find(job)
    names = list(inspect.signature(function).parameters)[:2]
    assert names == ["settings", "partition"]
    assert function.__doc__


def test_an_unknown_job_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"expected a job among simulate_logs, .*found 'land'"):
        find("land")


@pytest.mark.parametrize("missing", ["", None, "None"])
def test_a_run_without_a_key_says_which_key_to_give(missing):
    with pytest.raises(UsageError, match=r"partition key for land_partition, found none; trigger .*YYYY-MM-DD"):
        require_partition(missing, "land_partition")


def test_a_key_that_is_no_day_is_refused():
    with pytest.raises(UsageError, match="found 'yesterday'"):
        require_partition("yesterday", "land_partition")
    assert require_partition("2026-11-05", "land_partition") == Partition.parse("2026-11-05")


def test_an_option_that_the_job_does_not_take_is_named_with_those_it_takes():
    def job(settings, partition, retrain=None):
        return {}

    with pytest.raises(UsageError, match="job takes no option speed; it takes retrain"):
        check_options("job", job, {"speed": 1})
    check_options("job", job, {"retrain": "latest"})


def test_a_job_with_free_keywords_takes_any_option():
    check_options("job", lambda settings, partition, **options: {}, {"anything": 1})


def test_results_become_what_json_gives_back():
    check = Check(name="norm", passed=True, observed="1", allowed="2")
    decision = GateDecision(subject="s", partition="2026-11-05", accepted=True, checks=(check,), report="r")
    assert as_json(decision)["checks"] == [check.to_dict()]
    assert as_json({"pair": (1, 2)}) == {"pair": [1, 2]}
    assert as_json(SpaceRef(space_id="a", item_space_id="b", partition="c"))["space_id"] == "a"


def test_run_passes_the_partition_and_drops_empty_options(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path))
    (tmp_path / "raw/interactions/dt=2026-11-06").mkdir(parents=True)
    (tmp_path / "raw/interactions/dt=2026-11-06/part.parquet").write_bytes(b"x")
    assert run("partition_arrived", "2026-11-05") == {"arrived": True, "newest": "2026-11-06"}
    decided = run("retrain_decision", "2026-11-05", retrain="")
    assert decided["mode"] == "superseded"


def test_usage_errors_are_attune_errors():
    assert issubclass(UsageError, AttuneError)


def test_an_option_that_is_missing_is_named_with_how_to_give_it():
    def job(settings, partition, space_id, retrain=None):
        return {}

    with pytest.raises(UsageError, match="job needs space_id; add --space-id VALUE"):
        check_options("job", job, {"retrain": "latest"})
    check_options("job", job, {"space_id": "20261105-1f2e3d4c"})
