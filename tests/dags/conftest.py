"""Import every DAG once, with an Airflow home of the test session's own."""

import os

import pytest


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    own = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "ATTUNE_HOME": str(home / "attune")}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    yield home
    for name, value in before.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def dag_bag(airflow_home):
    from airflow.dag_processing.dagbag import DagBag

    from training.settings import REPO_ROOT

    return DagBag(str(REPO_ROOT / "dags"))


@pytest.fixture(scope="session")
def dags(dag_bag):
    assert dag_bag.import_errors == {}
    return dag_bag.dags
