"""Start Airflow's scheduler with the libraries of the tasks in memory: `python -m local.warm_scheduler`.

The local executor runs every task in a fork of the scheduler. What the scheduler has imported, a task does not import
again; these libraries alone cost most tasks more CPU time than their work on a day of logs. The project's own modules
are left out, so that a task runs the code as it is on disk.
"""

from __future__ import annotations

import importlib
import logging
import sys

LIBRARIES = (
    "pandas",
    "pyarrow.parquet",
    "duckdb",
    "dbt.cli.main",
    "dbt.adapters.duckdb.connections",
    "great_expectations",
    "feast",
    "torch",
    "onnxruntime",
    "mlflow",
    "sqlalchemy",
)


def main() -> None:
    """Import the libraries, then become `airflow scheduler` with the arguments given."""
    from airflow.__main__ import main as airflow

    logging.disable(logging.INFO)  # what libraries say of their own import
    for name in LIBRARIES:
        importlib.import_module(name)
    logging.disable(logging.NOTSET)
    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    airflow()


if __name__ == "__main__":
    main()
