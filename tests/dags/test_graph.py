"""What the DAGs are: they import, they are labelled, and assets join them in the expected graph."""

import ast
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from local.instance import dag_ids

from training.contracts.consumers import CONSUMERS
from training.settings import REPO_ROOT

pytestmark = pytest.mark.airflow
EXPECTED = {
    "build_user_features": ["await_logs", "erase", "land", "transform", "pool_taste", "validate", "materialise"],
    "refresh_embeddings": ["refresh"],
    "train_user_encoder": ["decide", "train", "gate"],
    **{f"train_{consumer}": ["train", "gate"] for consumer in CONSUMERS},
    "promote_space": ["promote"],
    "search_negative_samplers": ["search"],
    "apply_retention": ["plan", "apply"],
    "check_parity": ["check"],
    "check_stream": ["check"],
}
FILES = sorted((REPO_ROOT / "dags").glob("*.py"))
WAITS_FOR = {
    "refresh_embeddings": {"user_features"},
    "train_user_encoder": {"user_features"},
    **{f"train_{consumer}": {"candidate_space"} for consumer in CONSUMERS},
    "promote_space": {"candidate_space", *(f"model_{consumer}" for consumer in CONSUMERS)},
}
SENDS = {
    ("build_user_features", "materialise"): {"user_features"},
    ("refresh_embeddings", "refresh"): {"published_embeddings"},
    ("train_user_encoder", "gate"): {"candidate_space"},
    **{(f"train_{consumer}", "gate"): {f"model_{consumer}"} for consumer in CONSUMERS},
    ("promote_space", "promote"): {"published_embeddings"},
}


def test_every_dag_imports_under_the_name_of_its_file_and_consumers_share_one(dags):
    assert set(dags) == set(EXPECTED) == dag_ids()
    consumers = {f"train_{consumer}" for consumer in CONSUMERS}
    assert {path.stem for path in FILES} - {"train_consumers"} == set(dags) - consumers
    assert "train_matching" in consumers


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_every_dag_is_labelled_owned_and_documented(dags, dag_id):
    dag = dags[dag_id]
    assert "attune" in dag.tags
    assert len(dag.tags) >= 2
    assert dag.doc_md.startswith(f"# {dag_id}")
    assert all(task.owner == "attune" for task in dag.tasks)
    assert all(task.retries == 2 and task.on_failure_callback for task in dag.tasks)
    assert dag.catchup is False


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_tasks_run_one_after_the_other(dags, dag_id):
    dag = dags[dag_id]
    ordered = sorted(dag.tasks, key=lambda task: len(task.get_flat_relative_ids(upstream=True)))
    assert [task.task_id for task in ordered] == EXPECTED[dag_id]
    for before, after in itertools.pairwise(ordered):
        assert before.task_id in after.upstream_task_ids


def test_assets_join_the_dags(dags):
    waits = {
        dag_id: _all_of(dag.timetable.asset_condition)
        for dag_id, dag in dags.items()
        if getattr(dag.timetable, "asset_condition", None) is not None
    }
    assert waits == WAITS_FOR
    sends = {
        (dag_id, task.task_id): {asset.name for asset in task.outlets}
        for dag_id, dag in dags.items()
        for task in dag.tasks
        if task.outlets
    }
    assert sends == SENDS


def test_only_the_task_that_ends_a_dag_sends_an_event(dags):
    for dag_id, task_id in SENDS:
        assert dags[dag_id].get_task(task_id).downstream_task_ids == set()


def test_single_writer_stores_sit_behind_one_slot_pools(dags):
    from local.instance import POOLS

    pools = {(dag.dag_id, task.task_id): task.pool for dag in dags.values() for task in dag.tasks}
    used = {pool for pool in pools.values() if pool != "default_pool"}
    assert used == set(POOLS)
    assert set(POOLS.values()) == {1}
    writers = [("build_user_features", "materialise"), ("refresh_embeddings", "refresh"), ("promote_space", "promote")]
    assert {pools[writer] for writer in writers} == {"serving"}
    warehouse = [task for (dag_id, task), pool in pools.items() if pool == "warehouse"]
    assert warehouse == ["erase", "land", "transform", "pool_taste"]


def test_the_key_names_the_day_whose_data_is_processed(dags):
    """The tick at midnight of the 8th processes the 7th, the day that has just ended."""
    from airflow.serialization.serialized_objects import DagSerialization

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dags["build_user_features"])).timetable
    _, key = timetable._get_partition_info(run_date=_pendulum(2026, 11, 8))
    assert key == "2026-11-07"


def test_a_backfill_from_day_to_day_has_exactly_those_keys(dags):
    from airflow.serialization.serialized_objects import DagSerialization

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dags["build_user_features"])).timetable
    infos = timetable.iter_partition_dagrun_infos(
        earliest=datetime(1997, 11, 5, tzinfo=UTC), latest=datetime(1997, 11, 7, tzinfo=UTC)
    )
    assert [info.partition_key for info in infos] == ["1997-11-05", "1997-11-06", "1997-11-07"]


@pytest.mark.parametrize(("schedule", "ticks"), [("daily", True), ("manual", False)])
def test_a_manual_schedule_sends_no_tick(airflow_home, monkeypatch, schedule, ticks):
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction

    monkeypatch.setenv("ATTUNE_SCHEDULE", schedule)
    bag = DagBag(str(REPO_ROOT / "dags" / "build_user_features.py"))
    dag = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags["build_user_features"]))
    restriction = TimeRestriction(earliest=dag.start_date, latest=dag.end_date, catchup=False)
    info = dag.timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert (info is not None) is ticks
    if info is not None:
        assert info.partition_key == (info.run_after - timedelta(days=1)).strftime("%Y-%m-%d")


def test_nothing_changes_from_one_parse_to_the_next(dags):
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    again = DagBag(str(REPO_ROOT / "dags")).dags
    for dag_id, dag in dags.items():
        assert DagSerialization.to_dict(dag) == DagSerialization.to_dict(again[dag_id])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_is_short(path):
    assert len(path.read_text().splitlines()) <= 90


TASK_FILES = [*FILES, REPO_ROOT / "dags" / "orchestration" / "consumers.py"]


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: path.stem)
def test_a_task_body_is_one_import_one_call_one_return(path):
    for function in _task_functions(ast.parse(path.read_text())):
        imported, returned = function.body
        assert isinstance(imported, ast.ImportFrom)
        assert imported.module in {"training.jobs", "serving_export.jobs"}
        assert [alias.name for alias in imported.names] == ["run"]
        assert isinstance(returned, ast.Return)
        calls = [node for node in ast.walk(returned) if isinstance(node, ast.Call)]
        assert [call.func.id for call in calls] == ["run"]


def test_task_bodies_are_found_at_all():
    """The consumers' DAGs share the bodies in their factory."""
    found = [len(_task_functions(ast.parse(path.read_text()))) for path in TASK_FILES]
    shared = (len(CONSUMERS) - 1) * len(EXPECTED["train_matching"])
    assert sum(found) == sum(len(tasks) for tasks in EXPECTED.values()) - shared


def test_tasks_name_only_jobs_that_exist():
    import serving_export.jobs
    import training.jobs

    known = {"training.jobs": set(training.jobs.JOBS), "serving_export.jobs": set(serving_export.jobs.JOBS)}
    for path in TASK_FILES:
        for function in _task_functions(ast.parse(path.read_text())):
            imported, returned = function.body
            call = next(node for node in ast.walk(returned) if isinstance(node, ast.Call))
            assert call.args[0].value in known[imported.module]


def _task_functions(tree: ast.AST) -> list[ast.FunctionDef]:
    """Return functions decorated by `step(...)` or `task...`."""

    def is_task(decorator: ast.expr) -> bool:
        return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).split(".")[0] in {"step", "task"}

    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if any(map(is_task, function.decorator_list))]


def _all_of(condition) -> set[str]:
    """Return the names of the assets, every one of which is waited for."""
    from airflow.sdk import Asset, AssetAll

    if isinstance(condition, Asset):
        return {condition.name}
    assert isinstance(condition, AssetAll)
    return set().union(*map(_all_of, condition.objects))


def _pendulum(year: int, month: int, day: int):
    import pendulum

    return pendulum.datetime(year, month, day, tz="UTC")
