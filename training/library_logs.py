"""Set up logging for a command line, and quiet what libraries say that nobody can act on.

Each entry was seen and is known to be harmless; whatever else a library warns of is still shown.
"""

from __future__ import annotations

import logging
import sys
import warnings

_CHATTER = ("great_expectations", "alembic", "mlflow", "dbt", "httpx", "sqlalchemy.engine")
"""Loggers of libraries that tell of every step at the level at which our own modules tell of a job."""
_RAISED_ANYWAY = ("mlflow.store.db.utils",)
"""Loggers that print the traceback of an error that is then raised, and told in one line."""
_HARMLESS: tuple[tuple[type[Warning], str, str], ...] = (
    (DeprecationWarning, r"fetch_arrow_table\(\) is deprecated", r"ibis\."),
    (DeprecationWarning, r"module 'sre_\w+' is deprecated", r"great_expectations\."),
    (FutureWarning, r"The behavior of 'isin' with dtype=datetime64", r"great_expectations\."),
)
"""Category, start of the message and module of warnings that a library owes to another one that it uses."""


def start_logging(level: int = logging.INFO) -> None:
    """Send our logs to stderr, and of the libraries' only what is a warning that someone may act on."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    if level > logging.DEBUG:
        for name in _CHATTER:
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in _RAISED_ANYWAY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        for category, message, module in _HARMLESS:
            warnings.filterwarnings("ignore", message, category, module)
