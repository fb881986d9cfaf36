"""The table counts what ended how, and names every fault."""

from __future__ import annotations

from tests.dags.backfill.story import Told
from tests.dags.backfill.table import faults, table

RUNS = [
    {"dag_run_id": "a", "dag_id": "build_user_features", "partition_key": "2025-11-01", "state": "success"},
    {"dag_run_id": "b", "dag_id": "build_user_features", "partition_key": "2025-11-02", "state": "success"},
    {"dag_run_id": "c", "dag_id": "promote_space", "partition_key": "2025-11-01", "state": "success"},
]
READ = {"counts": {"answers": 9, "vectors": 700, "rankings": 3, "refused": 1}, "faults": [], "spaces": {"s1": 9}}
OUTCOMES = {"a": "done", "b": "done", "c": "ended at promote"}


def told(**more: object) -> Told:
    facts = {"runs": RUNS, "outcomes": OUTCOMES, "reader": READ, "spaces": ["s1", "s2"], "seconds": 630.0}
    return Told(**{**facts, "tasks": [{"state": "success"}, {"state": "skipped"}], **more})


def test_what_ended_how_is_counted() -> None:
    shown = table(told(steps=[("2025-11-01", "attune rollback")]))
    assert "| `build_user_features` | 2 done |" in shown
    assert "| `promote_space` | 1 ended at promote |" in shown
    assert "| 2025-11-01 | attune rollback |" in shown
    assert "| vectors | 700 |" in shown
    assert "| mixed | 0 |" in shown
    assert "2 tasks (1 skipped, 1 success), 10 minutes, 0 faults" in shown
    assert not faults(told())


def test_each_kind_of_fault_is_named() -> None:
    failed = [{**RUNS[0], "state": "failed"}]
    assert faults(told(runs=failed)) == ["build_user_features of 2025-11-01 failed"]
    assert faults(told(reader={})) == ["the reader read nothing", "nobody was refused after the erasure"]
    assert faults(told(spaces=["s1"])) == ["expected two spaces live one after another, found ['s1']"]
    assert faults(told(faults=["attune rollback ended with 1"])) == ["attune rollback ended with 1"]
    found = {**READ, "faults": ["mixed: s1"]}
    assert faults(told(reader=found)) == ["mixed: s1"]
    assert table(told(reader=found)).endswith("1 faults\n- mixed: s1\n")
