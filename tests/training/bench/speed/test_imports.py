from __future__ import annotations

from pathlib import Path

from training.bench.speed.imports import import_table, import_timings, write_log
from training.settings import Settings


def test_the_log_is_the_same_for_the_same_size(tmp_path: Path) -> None:
    first, second = (write_log(tmp_path / name, 200).read_bytes() for name in ("a.csv", "b.csv"))
    assert first == second
    assert first.count(b"\n") == 201


def test_the_table_names_rows_and_limit_and_leaves_nothing(tmp_path: Path) -> None:
    table = import_table(Settings.from_env({"ATTUNE_HOME": str(tmp_path)}), 300)
    assert "import of 300 rows of CSV, peak memory" in table
    assert not list(tmp_path.iterdir())


def test_import_and_bare_copy_are_timed_with_their_memory(tmp_path: Path) -> None:
    seconds, peak = import_timings(tmp_path / "scratch", 500)
    assert (seconds.unit, peak.unit) == ("s", "GB")
    assert all(one.ours > 0 and set(one.limits) == {"DuckDB's bare COPY to Parquet"} for one in (seconds, peak))
    assert len(list((tmp_path / "scratch" / "home" / "raw" / "interactions").glob("dt=*/*.parquet"))) >= 60
