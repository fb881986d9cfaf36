"""A real scheduler on a small simulated home: two days promoted, then three past days backfilled by REST."""

import hashlib
import os
import socket
import time

import psutil
import pytest
from local.instance import LocalAirflow
from local.logs import LogSource, deliver
from local.run import backfill, outcome, started
from local.watch import Watch

from training.registry.ledger import Ledger
from training.settings import Settings
from training.storage import list_partitions

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("scheduler"),
]
WORLD = {"num_users": 150, "num_items": 60, "num_days": 12}


class Story:
    """What a module-wide run saw; each test reads one part of it."""

    def __init__(self, home):
        self.settings = Settings.from_env({"ATTUNE_HOME": str(home)})
        self.airflow = LocalAirflow(self.settings)
        self.said = []

    def live(self):
        return (self.settings.published_dir / "pointer.json").read_bytes()

    def features(self):
        """Return a digest of each feature file of each partition, and when it was written."""
        files = sorted((self.settings.home / "features").rglob("*.parquet"))
        return {
            str(path.relative_to(self.settings.home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        }

    def tell(self):
        source = LogSource(simulated=WORLD)
        with started(self.airflow, self.said.append) as staging:
            self.days = staging(source)
            self.first = self._bring(source, self.days[-2])
            self.second = self._bring(source, self.days[-1])
            self.pointer_before, self.features_before = self.live(), self.features()
            self.past_days = self.days[-5:-2]
            self.past = self._cascade(self.past_days)
            self.pointer_after, self.features_after = self.live(), self.features()
            self.keyless = self._run_without_key()
            self.sessions = [entry["pid"] for entry in self.airflow.services.recorded()]

    def _bring(self, source, day):
        deliver(self.settings, source, day)
        return self._cascade([day])

    def _cascade(self, days):
        runs = backfill(self.airflow, Watch(self.airflow, self.said.append), days, self.said.append)
        return {(run["partition_key"], run["dag_id"]): outcome(self.airflow, run) for run in runs}

    def _run_without_key(self):
        begun = time.monotonic()
        run_id = self.airflow.api.trigger("train_user_encoder", None)
        while time.monotonic() - begun < 120:
            tasks = self.airflow.api.tasks_of("train_user_encoder", run_id)
            failed = [task for task in tasks if task["state"] == "failed"]
            if failed:
                return failed[0], "\n".join(self.airflow.api.task_log(failed[0]))
            time.sleep(1)
        raise AssertionError(f"the run without a key did not end: {tasks}")


@pytest.fixture(scope="module")
def story(tmp_path_factory, fresh_mlflow):
    told = Story(tmp_path_factory.mktemp("home"))
    fresh_mlflow(told.settings)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ATTUNE_RETRAIN_EVERY_DAYS", "5")
        told.tell()
    return told


def test_the_first_day_is_built_trained_and_promoted(story):
    day = str(story.days[-2])
    assert story.first[day, "build_user_features"] == "done"
    assert story.first[day, "train_user_encoder"] == "done"
    assert story.first[day, "train_matching"] == "done"
    assert story.first[day, "promote_space"] == "done"
    assert story.first[day, "refresh_embeddings"] == "ended at refresh"


def test_the_next_day_is_built_and_refreshed_with_the_live_space(story):
    day = str(story.days[-1])
    assert story.second[day, "build_user_features"] == "done"
    assert story.second[day, "refresh_embeddings"] == "done"


def test_between_two_retrains_the_consumers_train_on_the_space_that_is_kept(story):
    assert story.second[str(story.days[-1]), "train_user_encoder"] == "done"
    assert (str(story.days[-1]), "train_matching") in story.second
    assert [ref.partition for ref in Ledger(story.settings).spaces()] == [str(story.days[-2])]


def test_a_backfill_of_three_past_days_rebuilds_their_features(story):
    built = {key for key, dag_id in story.past if dag_id == "build_user_features"}
    assert built == {str(day) for day in story.past_days}
    assert all(story.past[key, "build_user_features"] == "done" for key in built)
    assert set(story.past_days) <= set(list_partitions(story.settings.home / "features" / "user_profile"))


def test_superseded_runs_are_skipped(story):
    for day in story.past_days:
        assert story.past[str(day), "train_user_encoder"] == "ended at decide"
        assert (str(day), "train_matching") not in story.past
        assert (str(day), "promote_space") not in story.past


def test_nothing_served_goes_back(story):
    assert all(story.past[str(day), "refresh_embeddings"] == "ended at refresh" for day in story.past_days)
    assert story.pointer_after == story.pointer_before


def test_later_partitions_keep_their_bytes(story):
    assert story.features_before.items() <= story.features_after.items()


def test_a_run_without_a_key_fails_at_once_and_says_which_key_to_give(story):
    task, log = story.keyless
    assert task["task_id"] == "decide"
    assert task["try_number"] == 1
    assert "expected a partition key for retrain_decision, found none" in log
    assert (story.settings.reports_dir / "failures" / "no-partition" / "train_user_encoder.decide.md").is_file()


def test_nothing_is_left_running_and_the_port_is_free(story):
    assert story.airflow.services.recorded() == []
    assert not [pid for pid in psutil.pids() if _session(pid) in story.sessions]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", story.airflow.port))


def test_progress_was_shown(story):
    assert any("build_user_features / transform" in line and "success" in line for line in story.said)


def _session(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
