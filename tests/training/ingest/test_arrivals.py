from __future__ import annotations

from pathlib import Path

from training.contracts.partitions import Partition
from training.ingest.arrivals import arrived_partitions, newest_arrived
from training.settings import Settings


def test_only_days_with_interactions_count_as_arrived(tmp_path: Path) -> None:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    assert newest_arrived(settings) is None
    for day, name in (("2026-11-05", "a.parquet"), ("2026-11-03", "a.parquet"), ("2026-11-07", ".a.parquet.tmp")):
        path = settings.raw_dir("interactions") / f"dt={day}" / name
        path.parent.mkdir(parents=True)
        path.touch()
    (settings.raw_dir("users") / "dt=2026-11-09").mkdir(parents=True)
    (settings.raw_dir("users") / "dt=2026-11-09" / "a.parquet").touch()
    assert [str(day) for day in arrived_partitions(settings)] == ["2026-11-03", "2026-11-05"]
    assert newest_arrived(settings) == Partition.parse("2026-11-05")
