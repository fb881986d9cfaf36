"""When a cascade is over, and what is said meanwhile."""

from types import SimpleNamespace

import pytest
from local.watch import RunFailed, Watch, pending_runs, task_line

NEEDS = {"refresh": {"features"}, "promote": {"space", "model"}}
DAY, NEXT = "2026-11-05", "2026-11-06"


def event(name, key, *made):
    return {"name": name, "partition_key": key, "created_dagruns": [{"dag_id": dag_id} for dag_id in made]}


@pytest.mark.parametrize(
    ("events", "pending"),
    [
        ([], []),
        ([event("features", DAY)], [("refresh", DAY)]),
        ([event("features", DAY, "refresh")], []),
        ([event("space", DAY)], []),
        ([event("space", DAY), event("model", NEXT)], []),
        ([event("space", DAY), event("model", DAY)], [("promote", DAY)]),
        ([event("space", DAY, "promote"), event("model", DAY, "promote")], []),
        ([event("features", DAY, "refresh"), event("features", DAY)], [("refresh", DAY)]),
        ([event("features", None)], []),
    ],
)
def test_a_run_is_pending_until_the_newest_of_its_events_has_made_it(events, pending):
    assert pending_runs(NEEDS, events) == pending


@pytest.mark.parametrize(
    ("state", "duration", "line"),
    [
        ("success", 1.25, "2026-11-05  refresh / publish                         success            1.2 s"),
        ("running", 3.0, "2026-11-05  refresh / publish                         running"),
    ],
)
def test_a_line_of_progress_names_partition_task_state_and_seconds(state, duration, line):
    task = {"dag_id": "refresh", "task_id": "publish", "state": state, "duration": duration}
    assert task_line(task, DAY) == line


class FakeTime:
    """Airflow's answers, one after the other: what the API says at each poll."""

    def __init__(self, polls):
        self.polls, self.at = polls, -1

    def runs(self, known=()):
        self.at += 1
        found = self.polls[min(self.at, len(self.polls)) - 1]["runs"] if self.at else []
        return [run for run in found if run["dag_run_id"] not in known]

    def now(self):
        return self.polls[min(max(self.at, 1), len(self.polls)) - 1]

    def tasks(self, since):
        return self.now().get("tasks", [])

    def tasks_of(self, dag_id, run_id):
        return self.now().get("tasks", [])

    def task_log(self, task):
        return ["first", "the last line"]

    def asset_events(self, since):
        return self.now().get("events", [])

    def assets_by_dag(self):
        return NEEDS

    def backfill_is_complete(self, number):
        return self.now().get("complete", True)


def watch(monkeypatch, polls):
    monkeypatch.setattr("local.watch.POLL_S", 0)
    said = []
    airflow = SimpleNamespace(api=FakeTime(polls), check_alive=lambda: None, home="home")
    return Watch(airflow, said.append), said


def run(state, key=DAY, run_id="r1"):
    return {"dag_id": "refresh", "dag_run_id": run_id, "state": state, "partition_key": key}


def task(state, run_id="r1", try_number=1):
    names = {"dag_id": "refresh", "task_id": "publish", "dag_run_id": run_id}
    return {**names, "state": state, "duration": 1.0, "try_number": try_number}


def test_it_waits_for_running_runs_for_the_backfill_and_for_pending_events(monkeypatch):
    polls = [
        {"runs": [run("queued")], "complete": False},
        {"runs": [run("running")], "tasks": [task("running")], "complete": False},
        {"runs": [run("success")], "tasks": [task("success")], "complete": False},
        {"runs": [run("success")], "events": [event("features", DAY)]},
        {"runs": [run("success"), run("running", run_id="r2")], "events": [event("features", DAY, "refresh")]},
        {"runs": [run("success"), run("success", run_id="r2")], "events": [event("features", DAY, "refresh")]},
    ]
    watching, said = watch(monkeypatch, polls)
    runs = watching.until_quiet(backfill=1)
    assert [found["dag_run_id"] for found in runs] == ["r1", "r2"]
    assert watching._api.at == len(polls) + 1, "what seems over is looked at once more"
    assert [line.split()[4] for line in said] == ["running", "success"]


def test_a_run_that_is_made_between_the_reads_of_runs_and_events_is_waited_for(monkeypatch):
    made = [event("features", DAY, "refresh")]
    polls = [
        {"runs": [run("success")], "events": made},
        {"runs": [run("success"), run("running", run_id="r2")], "events": made},
        {"runs": [run("success"), run("success", run_id="r2")], "events": made},
    ]
    watching, _ = watch(monkeypatch, polls)
    assert [found["dag_run_id"] for found in watching.until_quiet()] == ["r1", "r2"]


def test_a_failed_run_ends_the_wait_with_the_log_of_its_task(monkeypatch):
    watching, _ = watch(monkeypatch, [{"runs": [run("failed")], "tasks": [task("failed")]}])
    with pytest.raises(RunFailed, match=r"refresh for 2026-11-05 failed in task publish(?s:.*)the last line"):
        watching.until_quiet()


def test_each_state_of_a_task_is_said_once(monkeypatch):
    polls = [{"runs": [run("running")], "tasks": [task("running")]}] * 4 + [{"runs": [run("success")], "tasks": []}]
    watching, said = watch(monkeypatch, polls)
    watching.until_quiet()
    assert len(said) == 1
