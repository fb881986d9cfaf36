from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from training.registry.ledger_tables import (
    GATES,
    METADATA,
    MODELS,
    PINS,
    PROMOTIONS,
    SPACES,
    LedgerUnavailable,
    key_of,
    open_engine,
    transaction,
)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (SPACES, ["space_id"]),
        (MODELS, ["consumer", "version"]),
        (GATES, ["subject", "partition", "attempt"]),
        (PINS, ["consumer"]),
        (PROMOTIONS, ["sequence"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_names_a_row_is_what_the_table_says_is_unique(table: sa.Table, key: list[str]) -> None:
    assert key_of(table) == key


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/deep/ledger.db")
    METADATA.create_all(engine)
    with transaction(engine) as connection:
        connection.execute(sa.insert(PINS).values(consumer="kept", space_id="s"))

    def break_off() -> None:
        with transaction(engine) as connection:
            connection.execute(sa.insert(PINS).values(consumer="lost", space_id="s"))
            connection.execute(sa.insert(PINS).values(consumer="kept", space_id="t"))

    with pytest.raises(sa.exc.IntegrityError):
        break_off()
    with transaction(engine) as connection:
        assert connection.execute(sa.select(PINS.c.consumer, PINS.c.space_id)).all() == [("kept", "s")]


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    engine = open_engine("postgresql+psycopg://attune:secret@127.0.0.1:1/ledger", patience_s=1)
    with pytest.raises(LedgerUnavailable, match=r"attune:\*\*\*@127.0.0.1:1/ledger") as caught, transaction(engine):
        pass
    assert "secret" not in str(caught.value)


def test_a_full_disk_is_not_taken_for_a_process_that_holds_the_ledger(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    METADATA.create_all(engine)

    def fill() -> None:
        with transaction(engine) as connection:
            pages = connection.exec_driver_sql("pragma page_count").scalar_one()
            connection.exec_driver_sql(f"pragma max_page_count = {pages}")
            connection.execute(sa.insert(PINS).values(consumer="c" * 50_000, space_id="s"))

    with pytest.raises(LedgerUnavailable, match="is full; make room on its disk"):
        fill()
