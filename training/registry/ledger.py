"""Record every space, consumer model, gate decision, promotion and pin, on SQLite or PostgreSQL.

The ledger is the account book and never the switch: which space is live is decided by `published/pointer.json` alone,
and the states held here follow it. Recording the same thing again changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine

from training.contracts.artefacts import GateDecision, ModelRef, SpaceRef
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.frames import is_frame
from training.contracts.partitions import Partition
from training.registry.ledger_tables import (
    GATES,
    INTENTS,
    MODELS,
    PATIENCE_S,
    PINS,
    PROMOTIONS,
    SPACES,
    key_of,
    open_engine,
    transaction,
)
from training.registry.ledger_upgrade import bring_up_to_date
from training.settings import Settings

STATES = ("candidate", "accepted", "live", "legacy", "retired", "rejected", "not_applicable")
OFFERED = ("candidate", "accepted")
"""States of a space that may yet be promoted: trained, and accepted by its gate."""
_JUDGED = ("candidate", "accepted", "rejected", "not_applicable")
"""States that a gate may change; the others follow the pointer, and none goes back from there to these."""


class Ledger:
    """Read and write the account of one home; safe for several processes at once."""

    def __init__(self, settings: Settings, patience_s: float = PATIENCE_S) -> None:
        """Open the ledger at `settings.database_url`; a new or older one is brought up to date in place.

        Raises:
            LedgerUnavailable: It does not answer within `patience_s`, as in every other method.
            AttuneError: A newer version of Attune has changed it.
        """
        self._engine = open_engine(settings.database_url, patience_s)
        bring_up_to_date(self._engine)
        self._insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[self._engine.dialect.name]

    def record_space(self, ref: SpaceRef, state: str | None = None) -> None:
        """Record a trained space; one that a promotion has already moved on keeps its state.

        Args:
            ref: The space.
            state: What its gate made of it. None, as training says, makes a new space a candidate and leaves one that
                was judged already as it is: training a rejected space again does not accept it.
        """
        if state is None:
            self._insert_new(SPACES, {**ref.to_dict(), "state": "candidate"})
        else:
            self._upsert(SPACES, {**ref.to_dict(), "state": _known(state)}, ("state",), SPACES.c.state)

    def record_model(self, ref: ModelRef, state: str = "candidate") -> None:
        """Record a trained consumer model: "candidate" if its gate accepted it, else "rejected".

        What stands in a model's place where the log gives a consumer nothing to learn from is "not_applicable".
        """
        self._upsert(MODELS, {**ref.to_dict(), "state": _known(state)}, ("state",), MODELS.c.state)

    def record_gate(self, decision: GateDecision) -> None:
        """Record a gate's decision beside earlier ones on the same subject and partition; the last one counts."""
        key = (GATES.c.subject == decision.subject) & (GATES.c.partition == decision.partition)
        with transaction(self._engine) as connection:
            newest = sa.select(GATES.c.attempt, GATES.c.decision).where(key).order_by(GATES.c.attempt.desc())
            found = connection.execute(newest).first()
            if found is not None and found.decision == decision.to_json():
                return
            values = {
                "subject": decision.subject,
                "partition": decision.partition,
                "attempt": found.attempt + 1 if found else 1,
                "accepted": decision.accepted,
                "decision": decision.to_json(),
            }
            connection.execute(self._insert(GATES).values(**values))

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
        self._insert_new(PROMOTIONS, values)

    def set_space_state(self, space_id: str, state: str) -> None:
        """Move a recorded space to `state`, but never from what was served back to what is judged.

        Raises:
            MissingArtefact: The ledger holds no such space.
            AttuneError: The space was served, and `state` is one before that.
        """
        self._move(SPACES, SPACES.c.space_id == space_id, state, f"space {space_id}")

    def set_model_state(self, consumer: str, version: str, state: str) -> None:
        """Move a recorded model to `state`.

        Raises:
            MissingArtefact: The ledger holds no such model.
        """
        self._move(MODELS, _is_model(consumer, version), state, f"model {consumer} {version}")

    def spaces(self, *states: str) -> list[SpaceRef]:
        """Return the spaces in any of `states` (all if none is named), oldest partition first."""
        query = sa.select(SPACES).order_by(SPACES.c.partition, SPACES.c.sequence)
        if states:
            query = query.where(SPACES.c.state.in_(states))
        return [_space(row) for row in self._rows(query)]

    def space(self, space_id: str) -> SpaceRef:
        """Return one recorded space.

        Raises:
            MissingArtefact: The ledger holds no such space.
        """
        for row in self._rows(sa.select(SPACES).where(SPACES.c.space_id == space_id)):
            return _space(row)
        raise _missing(f"space {space_id}", self._engine)

    def space_state(self, space_id: str) -> str | None:
        """Return the state of a space, None if it was never recorded."""
        rows = self._rows(sa.select(SPACES.c.state).where(SPACES.c.space_id == space_id))
        return str(rows[0]["state"]) if rows else None

    def space_states(self) -> dict[str, str]:
        """Return the state of every recorded space."""
        return {row["space_id"]: row["state"] for row in self._rows(sa.select(SPACES))}

    def candidate(self, partition: Partition | None = None) -> SpaceRef | None:
        """Return the newest candidate space (of `partition` if given), None if there is none."""
        found = [ref for ref in self.spaces(*OFFERED) if partition is None or ref.partition == str(partition)]
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
        query = sa.select(MODELS).order_by(MODELS.c.partition, MODELS.c.sequence)
        if consumer is not None:
            query = query.where(MODELS.c.consumer == consumer)
        if states:
            query = query.where(MODELS.c.state.in_(states))
        if space_id is not None:
            query = query.where(MODELS.c.space_id == space_id)
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
        states = ("candidate", "accepted", "live", "legacy", "retired", "not_applicable")
        found = self.models(consumer, *states, space_id=space_id)
        return bool(found) and self.model_state(consumer, found[-1].version) == "not_applicable"

    def model_state(self, consumer: str, version: str) -> str | None:
        """Return the state of a model, None if it was never recorded."""
        rows = self._rows(sa.select(MODELS.c.state).where(_is_model(consumer, version)))
        return str(rows[0]["state"]) if rows else None

    def model_states(self) -> dict[tuple[str, str], str]:
        """Return the state of every recorded model, by consumer and version."""
        return {(row["consumer"], row["version"]): row["state"] for row in self._rows(sa.select(MODELS))}

    def gates(self, subject: str | None = None) -> list[GateDecision]:
        """Return the decision that counts of each gate (on one subject), oldest partition first."""
        last = {(decision.subject, decision.partition): decision for decision in self.gate_history(subject)}
        return list(last.values())

    def gate_history(self, subject: str | None = None) -> list[GateDecision]:
        """Return every decision that a gate ever made (on one subject), oldest partition first, then as decided."""
        query = sa.select(GATES).order_by(GATES.c.partition, GATES.c.sequence)
        if subject is not None:
            query = query.where(GATES.c.subject == subject)
        return [GateDecision.from_dict(json.loads(row["decision"])) for row in self._rows(query)]

    def record_intent(self, kind: str, subject: str, pointer: int, reason: str = "") -> int:
        """Record what is about to be done to the pointer of a sequence number, and return the intent's own number."""
        values = {"kind": kind, "subject": subject, "pointer": pointer, "reason": reason, "state": "open"}
        with transaction(self._engine) as connection:
            found = connection.execute(sa.insert(INTENTS).values(**values)).inserted_primary_key
            return int(found[0]) if found else 0

    def close_intent(self, sequence: int, state: str) -> None:
        """Record of an intent that it was carried out ("done") or that it moved nothing ("void")."""
        with transaction(self._engine) as connection:
            connection.execute(sa.update(INTENTS).where(INTENTS.c.sequence == sequence).values(state=state))

    def intents(self, *states: str) -> list[dict[str, Any]]:
        """Return the intents in any of `states` (all if none is named), oldest first.

        Each has its sequence, kind, subject, reason, the pointer that it began from, state and recorded_at.
        """
        query = sa.select(INTENTS).order_by(INTENTS.c.sequence)
        if states:
            query = query.where(INTENTS.c.state.in_(states))
        return [{**row, "recorded_at": row["recorded_at"].isoformat()} for row in self._rows(query)]

    def promotions(self) -> list[dict[str, Any]]:
        """Return every recorded move of the pointer, oldest first: sequence, kind, partition, space_id, pointer."""
        rows = self._rows(sa.select(PROMOTIONS).order_by(PROMOTIONS.c.sequence))
        return [
            {**row, "pointer": json.loads(row["pointer"]), "recorded_at": row["recorded_at"].isoformat()}
            for row in rows
        ]

    def recorded_moves(self) -> set[int]:
        """Return the sequence number of every recorded move of the pointer."""
        return {int(row["sequence"]) for row in self._rows(sa.select(PROMOTIONS.c.sequence))}

    def pin(self, consumer: str, space_id: str) -> None:
        """Keep a consumer (or outside team) on a space, which is then not retired; pinning again moves the pin.

        A frame may be named in a space's place; whoever pins sees to it that it is served.

        Raises:
            MissingArtefact: The ledger holds no such space.
        """
        if not is_frame(space_id):
            self.space(space_id)
        self._upsert(PINS, {"consumer": consumer, "space_id": space_id}, ("space_id",))

    def unpin(self, consumer: str) -> bool:
        """Let a consumer follow the live space again; return whether it was pinned."""
        with transaction(self._engine) as connection:
            return connection.execute(sa.delete(PINS).where(PINS.c.consumer == consumer)).rowcount > 0

    def pins(self) -> dict[str, str]:
        """Return the pinned space of each pinned consumer."""
        return {row["consumer"]: row["space_id"] for row in self._rows(sa.select(PINS).order_by(PINS.c.consumer))}

    def _rows(self, query: sa.Select[Any]) -> list[Mapping[str, Any]]:
        with transaction(self._engine) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _upsert(
        self,
        table: sa.Table,
        values: dict[str, Any],
        replaced: tuple[str, ...],
        state: sa.Column[str] | None = None,
    ) -> None:
        insert = self._insert(table).values(**values)
        where = None if state is None else state.in_(_JUDGED)
        changes = {name: values[name] for name in replaced}
        with transaction(self._engine) as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=key_of(table), set_=changes, where=where))

    def _insert_new(self, table: sa.Table, values: dict[str, Any]) -> None:
        with transaction(self._engine) as connection:
            connection.execute(self._insert(table).values(**values).on_conflict_do_nothing())

    def _move(self, table: sa.Table, key: sa.ColumnElement[bool], state: str, what: str) -> None:
        free = table.c.state.in_(_JUDGED) if _known(state) in _JUDGED else sa.true()
        with transaction(self._engine) as connection:
            if connection.execute(sa.update(table).where(key & free).values(state=state)).rowcount:
                return
            found = connection.execute(sa.select(table.c.state).where(key)).scalar()
        if found is None:
            raise _missing(what, self._engine)
        raise AttuneError(f"expected {what} not served yet to make it {state}, found it {found}; it can only go on")


def _known(state: str) -> str:
    if state not in STATES:
        raise AttuneError(f"expected a state as one of {', '.join(STATES)}, found {state!r}")
    return state


def _is_model(consumer: str, version: str) -> sa.ColumnElement[bool]:
    return (MODELS.c.consumer == consumer) & (MODELS.c.version == version)


def _missing(what: str, engine: Engine) -> MissingArtefact:
    where = engine.url.render_as_string(hide_password=True)
    return MissingArtefact(f"expected {what} in the ledger {where}, found none; `status` lists what was recorded")


def _space(row: Mapping[str, Any]) -> SpaceRef:
    return SpaceRef(space_id=row["space_id"], item_space_id=row["item_space_id"], partition=row["partition"])


def _model(row: Mapping[str, Any]) -> ModelRef:
    names = ("consumer", "version", "space_id", "partition")
    return ModelRef(**{name: row[name] for name in names})
