"""Hold the ledger's tables and its connections, on SQLite or PostgreSQL; one that does not answer says so soon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.pool import NullPool

from training.contracts.errors import AttuneError

PATIENCE_S = 10.0
"""How long a statement waits for a ledger that another process has locked, or for a server to answer."""

REVISION = "0002"
"""The step of `ledger_versions` after which a ledger's tables are as below."""
METADATA = sa.MetaData()
SPACES = sa.Table(
    "spaces",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("space_id", sa.String(64), nullable=False, unique=True),
    sa.Column("item_space_id", sa.String(64), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
)
MODELS = sa.Table(
    "models",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("consumer", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("space_id", sa.String(64), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.UniqueConstraint("consumer", "version"),
)
GATES = sa.Table(
    "gates",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    sa.UniqueConstraint("subject", "partition", "attempt"),
)
PROMOTIONS = sa.Table(
    "promotions",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("space_id", sa.String(64), nullable=False),
    sa.Column("pointer", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
)
PINS = sa.Table(
    "pins",
    METADATA,
    sa.Column("consumer", sa.String(64), primary_key=True),
    sa.Column("space_id", sa.String(64), nullable=False),
)
INTENTS = sa.Table(
    "intents",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("pointer", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
)


class LedgerUnavailable(AttuneError):
    """The ledger did not answer: another process has locked it, or its server is away."""


def key_of(table: sa.Table) -> list[str]:
    """Return the columns that name a row: those that must be unique together, else the primary key."""
    unique = [constraint for constraint in table.constraints if isinstance(constraint, sa.UniqueConstraint)]
    return [column.name for column in (unique[0] if unique else table.primary_key).columns]


def open_engine(url: str, patience_s: float = PATIENCE_S) -> Engine:
    """Return the engine of a ledger; nothing is connected to yet.

    Raises:
        AttuneError: The URL is of another database than SQLite and PostgreSQL.
    """
    dialect = make_url(url).get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise AttuneError(f"expected a ledger on sqlite or postgresql, found {dialect}; set ATTUNE_DATABASE_URL")
    if dialect == "sqlite":
        database = make_url(url).database
        if database:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        return sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": patience_s})
    return sa.create_engine(url, poolclass=NullPool, connect_args=_postgres_patience(patience_s))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose statements are kept all or none.

    Raises:
        LedgerUnavailable: The database does not answer.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        found = str(error.orig).strip().splitlines()[0]
        raise LedgerUnavailable(
            f"expected the ledger {where} to answer, found {found}; {_remedy(found)}, then run this again"
        ) from error


def _remedy(found: str) -> str:
    if any(words in found for words in ("is full", "disk I/O", "readonly", "No space left")):
        return "make room on its disk, or mend it"
    return "end the process that holds it or start its server"


def _postgres_patience(patience_s: float) -> dict[str, Any]:
    milliseconds = int(patience_s * 1000)
    return {"connect_timeout": max(2, int(patience_s)), "options": f"-c lock_timeout={milliseconds}"}
