import dataclasses
from pathlib import Path

from tests.training.data.landed_logs import settings_at
from training.contracts.partitions import Partition
from training.data.online_guard import may_serve, record_served, served_partition

DAY1, DAY2 = Partition.parse("2026-01-01"), Partition.parse("2026-01-02")


def test_anything_may_be_served_first(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    assert served_partition(config, "user_profile") is None
    assert may_serve(config, "user_profile", "", DAY1)


def test_never_back_in_time_but_again_and_forward(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    record_served(config, "user_profile", "", DAY2)
    assert not may_serve(config, "user_profile", "", DAY1)
    assert may_serve(config, "user_profile", "", DAY2)
    assert may_serve(config, "user_profile", "", DAY2.shift(1))


def test_views_spaces_and_stores_are_told_apart(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    record_served(config, "user_embedding", "new-space", DAY2)
    assert may_serve(config, "user_embedding", "old-space", DAY1)
    assert may_serve(config, "user_profile", "", DAY1)
    assert may_serve(
        dataclasses.replace(config, online_store="redis://localhost:1"), "user_embedding", "new-space", DAY1
    )
