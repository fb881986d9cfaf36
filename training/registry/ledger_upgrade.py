"""Bring a ledger to the form that this version reads, in place, by the steps of `ledger_versions`.

All steps that are missing are one transaction: a kill in the middle leaves the ledger as it was. Of several processes
that begin at once, one takes the steps and the others wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from training.contracts.errors import AttuneError
from training.registry.ledger_tables import REVISION, transaction

VERSIONS = Path(__file__).parent / "ledger_versions"
VERSION_TABLE = "ledger_version"
"""Not Alembic's own name: Airflow and MLflow use that, and may share the ledger's database."""
_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps what it works on in globals of its modules."""
_ADVISORY_KEY = 0x6C65646765720000


def bring_up_to_date(engine: Engine) -> None:
    """Take the steps that a ledger lacks; of an empty database, all of them.

    Raises:
        AttuneError: The ledger has taken a step that this version does not know.
        LedgerUnavailable: The database does not answer, or is held by another for too long.
    """
    with transaction(engine) as connection:
        found = _revision_of(connection)
    if found == REVISION:
        return
    with _ONE_AT_A_TIME, _alone(engine) as connection:
        _take_steps(connection)


def _revision_of(connection: Connection) -> str | None:
    """Return the last step that a ledger has taken; None of an empty database and of ledgers older than steps."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"select version_num from {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that no other may be in, which holds statements on tables too.

    Python's SQLite driver would begin none before such a statement: it is left out, and the transaction begun by hand.
    """
    if engine.dialect.name == "postgresql":
        with transaction(engine) as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_KEY)))
            yield connection
    else:
        with transaction(engine.execution_options(isolation_level="AUTOCOMMIT")) as connection:
            connection.exec_driver_sql("begin immediate")
            yield connection


def _take_steps(connection: Connection) -> None:
    """Take the steps that are missing still, now that nobody else takes any; importing Alembic takes a second."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    steps = ScriptDirectory(str(VERSIONS.parent), version_locations=[str(VERSIONS)])
    known, found = {step.revision for step in steps.walk_revisions()}, _revision_of(connection)
    if found is not None and found not in known:
        where = connection.engine.url.render_as_string(hide_password=True)
        raise AttuneError(
            f"expected the ledger {where} at revision {REVISION} or before, found {found}, which a newer version of "
            "Attune wrote; use that version, or restore the ledger from before it"
        )
    environment = EnvironmentContext(Config(), steps, fn=lambda at, _: steps._upgrade_revs("head", at))
    with environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE)
        environment.run_migrations()
