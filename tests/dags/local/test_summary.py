"""What a run says at its end."""

import json

from local.summary import describe, first_user, gates_table, runs_table, served, shortened, table

from training.contracts.artefacts import Check, GateDecision
from training.settings import Settings


def test_a_table_is_aligned():
    assert table(["a", "long"], [["wide cell", 1], ["x", 22]]) == "a          long\nwide cell  1\nx          22"
    assert table(["a"], []) == "none"


def test_runs_are_one_row_per_partition_with_the_last_outcome():
    runs = [
        {"dag_id": "build", "partition_key": "2026-11-05", "dag_run_id": "1", "state": "success"},
        {"dag_id": "train", "partition_key": "2026-11-06", "dag_run_id": "2", "state": "success"},
        {"dag_id": "build", "partition_key": "2026-11-05", "dag_run_id": "3", "state": "success"},
    ]
    shown = runs_table(runs, {"1": "done", "2": "ended at gate", "3": "again"})
    assert shown.splitlines() == [
        "partition   build  train",
        "2026-11-05  again  -",
        "2026-11-06  -      ended at gate",
    ]


def test_a_refused_gate_is_shown_with_each_check():
    checks = (
        Check(name="norm", passed=True, observed="1", allowed="at most 2"),
        Check(name="rank", passed=False, observed="3", allowed="at least 8"),
    )
    decision = GateDecision(subject="s", partition="2026-11-05", accepted=False, checks=checks, report="")
    head, norm, rank = gates_table([decision]).splitlines()
    assert head.split() == ["partition", "subject", "decision", "check", "observed", "allowed"]
    assert norm.split()[2:5] == ["REFUSED", "norm", "passed"]
    assert rank.split()[2:5] == ["REFUSED", "rank", "REFUSED"]


def test_long_vectors_are_cut_and_the_rest_is_kept():
    answer = json.dumps({"users": [{"user_id": "u1", "vector": [0.5] * 64, "few": [0.1, 0.2]}]})
    user = json.loads(shortened(answer))["users"][0]
    assert user == {"user_id": "u1", "vector": [0.5, 0.5, 0.5, 0.5, "... 64 in all"], "few": [0.1, 0.2]}


def test_what_is_served_names_space_partition_and_consumers():
    live = {"space_id": "s2", "partition": "2026-11-06", "consumers": {"matching": {"version": "v2", "space_id": "s2"}}}
    shown = describe({"live": live, "legacy": None})
    assert shown.splitlines()[1].split() == ["live", "s2", "2026-11-06", "matching", "v2"]


def test_a_home_that_serves_nothing_says_so(tmp_path):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    assert first_user(settings) is None
    assert "none" in served(settings)


def test_a_gate_with_nothing_to_judge_says_what_the_log_lacks():
    why = "no user has an attribute"
    decision = GateDecision(
        subject="cold_start v1", partition="2026-11-05", accepted=False, checks=(), report="", not_applicable=why
    )
    unmeasured = Check.not_measured("ndcg", "no held-out pair", "0.1")
    judged = GateDecision(subject="m v1", partition="2026-11-05", accepted=True, checks=(unmeasured,), report="")
    _, absent, shown = gates_table([decision, judged]).splitlines()
    assert "not applicable" in absent
    assert why in absent
    assert "REFUSED" not in absent
    assert "passed          ndcg   not measured  not measured: no held-out pair" in shown
