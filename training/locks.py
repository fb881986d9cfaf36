"""Let one process at a time do a thing, on one host or, where the ledger is PostgreSQL, on all hosts of the home.

A lock file guards the processes of one host (and says who holds it); a PostgreSQL advisory lock guards the hosts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.contracts.errors import AttuneError
from training.settings import Settings
from training.storage import LOCK_TIMEOUT_S, exclusive, wait_for


class Lease:
    """The right to do a thing, as long as the block lasts and the database session that holds it lives."""

    def __init__(self, what: str, session: Any = None) -> None:
        """Hold what the database session guards; None where the lock file is the whole guard."""
        self._what, self._session = what, session

    def confirm(self) -> None:
        """Raise AttuneError when the database took the lock back, as it does from a session that it lost."""
        if self._session is None:
            return
        import sqlalchemy as sa

        try:
            self._session.execute(sa.text("select 1"))
        except sa.exc.DBAPIError as error:
            raise AttuneError(
                f"expected to hold {self._what} still, found the database session lost; nothing was moved, run it again"
            ) from error


@contextmanager
def lease(settings: Settings, path: Path, *, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[Lease]:
    """Hold the lock file `path` below the home, and its advisory lock where the ledger is PostgreSQL.

    Raises:
        AttuneError: Another process or host did not let it go within `timeout_s`.
    """
    with exclusive(path, timeout_s=timeout_s):
        if not settings.database_url.startswith("postgresql"):
            yield Lease(f"lock {path}")
            return
        name = path.relative_to(settings.home).as_posix()
        with _advisory_lock(settings, name, timeout_s) as session:
            yield Lease(f"advisory lock {name}", session)


@contextmanager
def _advisory_lock(settings: Settings, name: str, timeout_s: float) -> Iterator[Any]:
    import sqlalchemy as sa

    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    engine = sa.create_engine(settings.database_url, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT")

    def take() -> bool:
        return bool(session.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar())

    def holder() -> str:
        return _session_holding(session, key)

    with _answering(f"advisory lock {name}"):
        session = engine.connect()
    with session:
        with _answering(f"advisory lock {name}"):
            wait_for(take, f"advisory lock {name} of the ledger", holder, timeout_s)
        yield session


@contextmanager
def _answering(what: str) -> Iterator[None]:
    """Say in one line that the ledger's server was lost while a lock was asked for."""
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.DBAPIError as error:
        found = str(error.orig).strip().splitlines()[0]
        raise AttuneError(
            f"expected the ledger's server to give {what}, found {found}; start the server, then run this again"
        ) from error


def _session_holding(session: Any, key: int) -> str:
    import sqlalchemy as sa

    query = sa.text(
        "select a.pid, a.client_addr from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory'"
        " and l.granted and l.classid::bigint = :high and l.objid::bigint = :low"
    )
    unsigned = key & (2**64 - 1)
    found = session.execute(query, {"high": unsigned >> 32, "low": unsigned & (2**32 - 1)}).first()
    return f"database session {found.pid} from {found.client_addr or 'this host'}" if found else "nobody any more"
