"""Record every space, consumer model, gate decision, promotion and pin, on SQLite or PostgreSQL.

The ledger is the account book and never the switch: which space is live is decided by `published/pointer.json` alone,
and the states held here follow it. Recording the same thing again changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from training.contracts.artefacts import GateDecision, ModelRef, SpaceRef
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.settings import Settings

STATES = ("candidate", "live", "legacy", "retired", "rejected", "not_applicable")
_REPLACEABLE = ("candidate", "rejected", "not_applicable")
"""States that recording again may change; the others are changed by a promotion alone."""

_METADATA = sa.MetaData()
_SPACES = sa.Table(
    "spaces",
    _METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("space_id", sa.String(64), nullable=False, unique=True),
    sa.Column("item_space_id", sa.String(64), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
)
_MODELS = sa.Table(
    "models",
    _METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("consumer", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("space_id", sa.String(64), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.UniqueConstraint("consumer", "version"),
)
_GATES = sa.Table(
    "gate_decisions",
    _METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sa.UniqueConstraint("subject", "partition"),
)
_PROMOTIONS = sa.Table(
    "promotions",
    _METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("space_id", sa.String(64), nullable=False),
    sa.Column("pointer", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
)
_PINS = sa.Table(
    "pins",
    _METADATA,
    sa.Column("consumer", sa.String(64), primary_key=True),
    sa.Column("space_id", sa.String(64), nullable=False),
)


class Ledger:
    """Read and write the account of one home; safe for several processes at once."""

    def __init__(self, settings: Settings) -> None:
        """Open the ledger at `settings.database_url`, creating its tables where they are missing."""
        self._engine = _engine(settings.database_url)
        self._insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[self._engine.dialect.name]
        _create_tables(self._engine)

    def record_space(self, ref: SpaceRef, state: str = "candidate") -> None:
        """Record a trained space; one that a promotion has already moved on keeps its state."""
        self._upsert(_SPACES, ("space_id",), {**ref.to_dict(), "state": _known(state)}, ("state",), _SPACES.c.state)

    def record_model(self, ref: ModelRef, state: str = "candidate") -> None:
        """Record a trained consumer model: "candidate" if its gate accepted it, else "rejected".

        What stands in a model's place where the log gives a consumer nothing to learn from is "not_applicable".
        """
        self._upsert(
            _MODELS, ("consumer", "version"), {**ref.to_dict(), "state": _known(state)}, ("state",), _MODELS.c.state
        )

    def record_gate(self, decision: GateDecision) -> None:
        """Record a gate's decision; deciding the same subject and partition again replaces it."""
        values = {
            "subject": decision.subject,
            "partition": decision.partition,
            "accepted": decision.accepted,
            "decision": decision.to_json(),
        }
        self._upsert(_GATES, ("subject", "partition"), values, ("accepted", "decision"))

    def record_promotion(self, sequence: int, kind: str, pointer: Mapping[str, Any]) -> None:
        """Record one move of the pointer under the pointer's own sequence number.

        Args:
            sequence: The number that the pointer carries; recording it again changes nothing.
            kind: "promote", "refresh" or "rollback".
            pointer: The whole pointer as JSON values.
        """
        live = pointer["live"]
        values = {
            "sequence": sequence,
            "kind": kind,
            "partition": live["partition"],
            "space_id": live["space_id"],
            "pointer": json.dumps(pointer, sort_keys=True),
        }
        with self._engine.begin() as connection:
            connection.execute(self._insert(_PROMOTIONS).values(**values).on_conflict_do_nothing())

    def set_space_state(self, space_id: str, state: str) -> None:
        """Move a recorded space to `state`.

        Raises:
            MissingArtefact: The ledger holds no such space.
        """
        statement = sa.update(_SPACES).where(_SPACES.c.space_id == space_id).values(state=_known(state))
        self._update(statement, f"space {space_id}")

    def set_model_state(self, consumer: str, version: str, state: str) -> None:
        """Move a recorded model to `state`.

        Raises:
            MissingArtefact: The ledger holds no such model.
        """
        key = (_MODELS.c.consumer == consumer) & (_MODELS.c.version == version)
        self._update(sa.update(_MODELS).where(key).values(state=_known(state)), f"model {consumer} {version}")

    def spaces(self, *states: str) -> list[SpaceRef]:
        """Return the spaces in any of `states` (all if none is named), oldest partition first."""
        query = sa.select(_SPACES).order_by(_SPACES.c.partition, _SPACES.c.sequence)
        if states:
            query = query.where(_SPACES.c.state.in_(states))
        return [_space(row) for row in self._rows(query)]

    def space(self, space_id: str) -> SpaceRef:
        """Return one recorded space.

        Raises:
            MissingArtefact: The ledger holds no such space.
        """
        for row in self._rows(sa.select(_SPACES).where(_SPACES.c.space_id == space_id)):
            return _space(row)
        raise _missing(f"space {space_id}", self._engine)

    def space_state(self, space_id: str) -> str | None:
        """Return the state of a space, None if it was never recorded."""
        rows = self._rows(sa.select(_SPACES.c.state).where(_SPACES.c.space_id == space_id))
        return str(rows[0]["state"]) if rows else None

    def space_states(self) -> dict[str, str]:
        """Return the state of every recorded space."""
        return {row["space_id"]: row["state"] for row in self._rows(sa.select(_SPACES))}

    def candidate(self, partition: Partition | None = None) -> SpaceRef | None:
        """Return the newest candidate space (of `partition` if given), None if there is none."""
        found = [ref for ref in self.spaces("candidate") if partition is None or ref.partition == str(partition)]
        return found[-1] if found else None

    def spaces_in_use(self) -> list[SpaceRef]:
        """Return every space whose features must go on being built: candidate, live, legacy and pinned."""
        pinned = set(self.pins().values())
        newest = self.candidate()
        used = {ref.space_id for ref in self.spaces("live", "legacy")} | pinned
        used |= {newest.space_id} if newest else set()
        return [ref for ref in self.spaces() if ref.space_id in used]

    def models(self, consumer: str | None = None, *states: str, space_id: str | None = None) -> list[ModelRef]:
        """Return a consumer's models (of one space, in any of `states`), oldest partition first."""
        query = sa.select(_MODELS).order_by(_MODELS.c.partition, _MODELS.c.sequence)
        if consumer is not None:
            query = query.where(_MODELS.c.consumer == consumer)
        if states:
            query = query.where(_MODELS.c.state.in_(states))
        if space_id is not None:
            query = query.where(_MODELS.c.space_id == space_id)
        return [_model(row) for row in self._rows(query)]

    def newest_model(self, consumer: str, space_id: str, until: Partition | None = None) -> ModelRef | None:
        """Return the newest model of a consumer on a space that no gate rejected, None if there is none.

        Args:
            consumer: Name of the consumer.
            space_id: The space that the model must read.
            until: The last partition that may count, inclusive.
        """
        found = [
            ref
            for ref in self.models(consumer, "candidate", "live", "legacy", "retired", space_id=space_id)
            if until is None or ref.partition <= str(until)
        ]
        return found[-1] if found else None

    def is_not_applicable(self, consumer: str, space_id: str) -> bool:
        """Return whether the newest that is known of a consumer on a space is that there is nothing to learn."""
        states = ("candidate", "live", "legacy", "retired", "not_applicable")
        found = self.models(consumer, *states, space_id=space_id)
        return bool(found) and self.model_state(consumer, found[-1].version) == "not_applicable"

    def model_state(self, consumer: str, version: str) -> str | None:
        """Return the state of a model, None if it was never recorded."""
        key = (_MODELS.c.consumer == consumer) & (_MODELS.c.version == version)
        rows = self._rows(sa.select(_MODELS.c.state).where(key))
        return str(rows[0]["state"]) if rows else None

    def model_states(self) -> dict[tuple[str, str], str]:
        """Return the state of every recorded model, by consumer and version."""
        return {(row["consumer"], row["version"]): row["state"] for row in self._rows(sa.select(_MODELS))}

    def gates(self, subject: str | None = None) -> list[GateDecision]:
        """Return the gate decisions (on one subject), oldest partition first."""
        query = sa.select(_GATES).order_by(_GATES.c.partition, _GATES.c.sequence)
        if subject is not None:
            query = query.where(_GATES.c.subject == subject)
        return [GateDecision.from_dict(json.loads(row["decision"])) for row in self._rows(query)]

    def promotions(self) -> list[dict[str, Any]]:
        """Return every recorded move of the pointer, oldest first: sequence, kind, partition, space_id, pointer."""
        rows = self._rows(sa.select(_PROMOTIONS).order_by(_PROMOTIONS.c.sequence))
        return [
            {**row, "pointer": json.loads(row["pointer"]), "recorded_at": row["recorded_at"].isoformat()}
            for row in rows
        ]

    def pin(self, consumer: str, space_id: str) -> None:
        """Keep a consumer (or outside team) on a space, which is then not retired; pinning again moves the pin.

        Raises:
            MissingArtefact: The ledger holds no such space.
        """
        self.space(space_id)
        self._upsert(_PINS, ("consumer",), {"consumer": consumer, "space_id": space_id}, ("space_id",))

    def unpin(self, consumer: str) -> bool:
        """Let a consumer follow the live space again; return whether it was pinned."""
        with self._engine.begin() as connection:
            return connection.execute(sa.delete(_PINS).where(_PINS.c.consumer == consumer)).rowcount > 0

    def pins(self) -> dict[str, str]:
        """Return the pinned space of each pinned consumer."""
        return {row["consumer"]: row["space_id"] for row in self._rows(sa.select(_PINS).order_by(_PINS.c.consumer))}

    def _rows(self, query: sa.Select[Any]) -> list[Mapping[str, Any]]:
        with self._engine.begin() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _upsert(
        self,
        table: sa.Table,
        key: tuple[str, ...],
        values: dict[str, Any],
        replaced: tuple[str, ...],
        state: sa.Column[str] | None = None,
    ) -> None:
        insert = self._insert(table).values(**values)
        where = None if state is None else state.in_(_REPLACEABLE)
        changes = {name: values[name] for name in replaced}
        with self._engine.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=changes, where=where))

    def _update(self, statement: sa.Update, what: str) -> None:
        with self._engine.begin() as connection:
            if not connection.execute(statement).rowcount:
                raise _missing(what, self._engine)


def _engine(url: str) -> Engine:
    dialect = make_url(url).get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise AttuneError(f"expected a ledger on sqlite or postgresql, found {dialect}; set ATTUNE_DATABASE_URL")
    if dialect == "sqlite":
        database = make_url(url).database
        if database:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        return sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": 60})
    return sa.create_engine(url, poolclass=NullPool)


def _create_tables(engine: Engine) -> None:
    """Create what is missing; `if not exists` may still collide between two PostgreSQL sessions, so ask twice."""
    for attempt in range(3):
        try:
            with engine.begin() as connection:
                for table in _METADATA.sorted_tables:
                    connection.execute(CreateTable(table, if_not_exists=True))
            return
        except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
            if attempt == 2:
                raise


def _known(state: str) -> str:
    if state not in STATES:
        raise AttuneError(f"expected a state as one of {', '.join(STATES)}, found {state!r}")
    return state


def _missing(what: str, engine: Engine) -> MissingArtefact:
    where = engine.url.render_as_string(hide_password=True)
    return MissingArtefact(f"expected {what} in the ledger {where}, found none; `status` lists what was recorded")


def _space(row: Mapping[str, Any]) -> SpaceRef:
    return SpaceRef(space_id=row["space_id"], item_space_id=row["item_space_id"], partition=row["partition"])


def _model(row: Mapping[str, Any]) -> ModelRef:
    names = ("consumer", "version", "space_id", "partition")
    return ModelRef(**{name: row[name] for name in names})
