from __future__ import annotations

from pathlib import Path

from training.bench.shared.side_tables import SideTables, read_side_tables, simulated_side_tables
from training.bench.shared.simulated import simulated_log
from training.contracts.columns import RAW_ITEMS, RAW_USERS
from training.ingest.simulator import SimulatorConfig
from training.ingest.world import WorldConfig
from training.settings import Settings


def test_a_folder_tells_what_its_files_hold(tmp_path: Path) -> None:
    assert read_side_tables(tmp_path) == SideTables()
    (tmp_path / "toy.item").write_text("item_id:token\tclass:token_seq\n1\tDrama War\n")
    atomic = read_side_tables(tmp_path)
    assert atomic.users is None
    assert atomic.items is not None
    assert atomic.items["category"].to_pylist() == ["Drama"]
    (tmp_path / "users.dat").write_text("1::F::25::4::10023\n2::M::18::12::94043\n")
    shipped = read_side_tables(tmp_path)
    assert shipped.users is not None
    assert shipped.users["gender"].to_pylist() == ["F", "M"]
    assert len({tables.content_hash for tables in (SideTables(), atomic, shipped)}) == 3


def test_simulated_users_are_told_of_once_as_they_signed_up(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    config = SimulatorConfig(world=WorldConfig(num_users=60, num_items=40, num_days=12, num_clusters=3))
    log, home = simulated_log(settings, config)
    tables = simulated_side_tables(home)
    assert tables.users is not None
    assert tables.items is not None
    users = tables.users.to_pandas()
    assert users["user_id"].is_unique
    assert set(log.frame["user_id"]) <= set(users["user_id"])
    assert set(log.frame["item_id"]) <= set(tables.items["item_id"].to_pylist())
    assert (users.columns.tolist(), tables.items.column_names) == ([*RAW_USERS.column_names], [*RAW_ITEMS.column_names])
