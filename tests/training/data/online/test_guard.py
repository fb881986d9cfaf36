import dataclasses
import multiprocessing
from pathlib import Path

import pytest

from tests.training.data.landed_logs import settings_at
from training.contracts.partitions import Partition
from training.data.online.guard import (
    forget_slots,
    may_serve,
    record_served,
    served_partition,
    served_slots,
    served_whole,
    serving,
)
from training.settings import Settings

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


def test_a_password_is_not_written_down_and_what_was_served_is_known_when_it_changes(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    before, after = (
        dataclasses.replace(config, online_store=f"redis://attune:{password}@valkey:6379")
        for password in ("old", "new")
    )
    record_served(before, "user_profile", "", DAY2)
    assert not may_serve(after, "user_profile", "", DAY1)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"old" in path.read_bytes()]


def test_content_that_was_written_whole_is_written_again_only_when_asked(tmp_path: Path) -> None:
    config = settings_at(tmp_path)

    def writes(content: str, day: Partition = DAY1, *, again: bool = False) -> bool:
        with serving(config, "user_embedding", "space", day, content, again=again) as needed:
            return needed

    assert [writes("a"), writes("a"), writes("a", again=True), writes("b"), writes("a")] == [
        True,
        False,
        True,
        True,
        True,
    ]
    assert writes("c", DAY2)
    assert not writes("a", again=True), "never back in time"
    assert served_slots(config, "user_embedding") == ["space"]
    forget_slots(config, "user_embedding", ["space"])
    assert served_slots(config, "user_embedding") == []
    assert writes("a")


def test_a_write_that_failed_is_written_again(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    with pytest.raises(ConnectionError), serving(config, "user_embedding", "space", DAY2, "a"):
        raise ConnectionError
    assert not served_whole(config, "user_embedding", "space", DAY2, "a")
    with serving(config, "user_embedding", "space", DAY1, "older") as needed:
        assert not needed
    with serving(config, "user_embedding", "space", DAY2, "a") as needed:
        assert needed


def _serve_days(config: Settings, view: str, shift: int) -> None:
    """Serve forty days in an order of its own; the file stands for the online store's one row."""
    row = config.home / "row"
    for number in range(40):
        day = DAY1.shift((7 * number + shift) % 40)
        with serving(config, "user_profile", "", day) as needed:
            if needed:
                row.write_text(str(day))
        record_served(config, view, f"{number}", day)


def test_two_writers_lose_no_record_and_never_go_back(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_serve_days, args=(config, f"view{n}", 20 * n)) for n in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert (config.home / "row").read_text() == str(DAY1.shift(39))
    assert served_partition(config, "user_profile") == DAY1.shift(39)
    for n in range(2):
        assert len(served_slots(config, f"view{n}")) == 40
