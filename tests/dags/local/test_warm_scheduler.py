"""The scheduler starts with libraries of the tasks, and with nothing of the project."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
from local import warm_scheduler
from local.instance import DAGS
from local.warm_scheduler import LIBRARIES


@pytest.mark.parametrize("name", LIBRARIES)
def test_each_library_is_there_and_not_ours(name):
    assert name.partition(".")[0] not in {"training", "serving_export", "orchestration", "local"}
    assert find_spec(name.partition(".")[0]) is not None


def test_it_becomes_the_scheduler_with_the_arguments_given(monkeypatch):
    began = []
    monkeypatch.setattr(warm_scheduler, "LIBRARIES", ("json",))
    monkeypatch.setattr("airflow.__main__.main", lambda: began.append(sys.argv))
    monkeypatch.setattr(sys, "argv", ["warm_scheduler.py", "--skip-serve-logs"])
    warm_scheduler.main()
    assert began == [["airflow", "scheduler", "--skip-serve-logs"]]


def test_importing_the_module_loads_no_library():
    code = "import sys, local.warm_scheduler; print({'torch', 'feast', 'airflow'} & {*sys.modules})"
    made = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(DAGS)}, capture_output=True, text=True)
    assert made.stdout.strip() == "set()", made.stderr
