"""DAG files are parsed all the time: they must not import what only their tasks need."""

import subprocess
import sys
from pathlib import Path

import pytest

from training.settings import REPO_ROOT

pytestmark = pytest.mark.airflow
HEAVY = ("torch", "mlflow", "feast", "great_expectations", "dbt", "duckdb", "pandas", "pyarrow", "scipy", "sklearn")
SCRIPT = """
import runpy, sys
sys.path.insert(0, {dags!r})
runpy.run_path({path!r})
print("heavy:", *(name for name in {heavy!r} if name in sys.modules))
"""


@pytest.mark.parametrize("path", sorted((REPO_ROOT / "dags").glob("*.py")), ids=lambda path: path.stem)
def test_parsing_a_dag_file_imports_nothing_heavy(path, airflow_home):
    script = SCRIPT.format(dags=str(REPO_ROOT / "dags"), path=str(path), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "heavy:"


def test_the_linter_holds_heavy_imports_off_the_dags():
    source = "import torch\n\nfrom training.registry.ledger import Ledger\n"
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", str(REPO_ROOT / "dags" / "probe.py"), "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False, cwd=REPO_ROOT)
    assert done.returncode == 1
    assert done.stdout.count("TID253") == 2


def test_airflow_parses_no_file_of_the_packages_beside_the_dags(airflow_home):
    from airflow.utils.file import list_py_file_paths

    parsed = {Path(path).parent for path in list_py_file_paths(REPO_ROOT / "dags")}
    assert parsed == {REPO_ROOT / "dags"}
