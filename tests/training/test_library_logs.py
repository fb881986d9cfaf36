"""What libraries say of themselves is quiet, what they warn of is not."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import logging, warnings
from training.library_logs import start_logging
start_logging({level})
logging.getLogger("great_expectations.registry").info("chatter")
logging.getLogger("great_expectations.registry").warning("problem")
logging.getLogger("training.jobs").info("ours")
logging.getLogger("mlflow.store.db.utils").error("the traceback of what is raised")
for module, text, kind in (
    ("ibis.backends.duckdb", "fetch_arrow_table() is deprecated, use another", DeprecationWarning),
    ("training.data", "fetch_arrow_table() is deprecated, use another one", UserWarning),
    ("great_expectations.core", "something new is wrong", FutureWarning),
):
    warnings.warn_explicit(text, kind, "file.py", 1, module=module)
"""


def said(level: str) -> str:
    run = subprocess.run([sys.executable, "-c", SCRIPT.format(level=level)], capture_output=True, text=True, check=True)
    return run.stderr


def test_chatter_and_known_warnings_are_quiet_and_the_rest_is_not() -> None:
    told = said("logging.INFO")
    assert "chatter" not in told
    assert "the traceback of what is raised" not in told
    assert "use another\n" not in told
    for word in ("problem", "ours", "use another one", "something new is wrong"):
        assert word in told


def test_debugging_shows_all() -> None:
    assert "chatter" in said("logging.DEBUG")
