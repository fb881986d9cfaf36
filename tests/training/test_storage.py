import errno
import hashlib
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from tests.faults.seam import Fault, run
from training.contracts.columns import USER_EMBEDDING, USER_HISTORY
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.storage import (
    PART,
    arrow_schema,
    exclusive,
    folders,
    list_partitions,
    new_dir,
    open_parquet,
    replace_file,
    sweep,
    try_lock,
    write_json,
    write_parquet,
)


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json({"day": 1}, target)

    def crash_halfway() -> None:
        with replace_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        crash_halfway()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert '"day": 1' in target.read_text()


def test_a_failed_folder_never_appears(tmp_path: Path) -> None:
    def crash_halfway() -> None:
        with new_dir(tmp_path / "space") as temporary:
            (temporary / "encoder.onnx").write_bytes(b"half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        crash_halfway()
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_disk_names_the_file_that_was_to_be(tmp_path: Path) -> None:
    def fill() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write or a sync raises it: without a name

    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/a\.json'") as caught,
        replace_file(tmp_path / "a.json"),
    ):
        fill()
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match=r"No space left on device: '.*/space'"), new_dir(tmp_path / "space"):
        fill()
    with pytest.raises(OSError, match=r"while writing bytes: '.*/b'"), replace_file(tmp_path / "b"):
        raise OSError("while writing bytes")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_immutable_folder_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with new_dir(tmp_path / "space") as temporary:
            (temporary / "content").write_text(text)
    assert (tmp_path / "space" / "content").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["space"]


def test_leftovers_of_the_dead_are_swept_and_the_work_of_the_living_is_not(tmp_path: Path) -> None:
    dead, young = tmp_path / ".space.0123abcd", tmp_path / ".other.89ab4567"
    for folder in (dead, young):
        folder.mkdir()
        (folder / "manifest.json").write_text("{}")
    (tmp_path / ".part.feedbeef").write_text("half")
    (tmp_path / ".publishing.lock").touch()
    for path in (dead, tmp_path / ".part.feedbeef", tmp_path / ".publishing.lock"):
        os.utime(path, (1, 1))
    assert folders(tmp_path) == []
    with new_dir(tmp_path / "mine") as mine:
        assert not dead.exists(), "the next run sweeps"
        os.utime(mine, (1, 1))
        assert sweep(tmp_path) == []
        assert mine.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.89ab4567", ".publishing.lock", "mine"]


def test_a_file_that_is_written_anew_takes_away_what_a_killed_writer_left(tmp_path: Path) -> None:
    dead, young, other = (tmp_path / f".{name}" for name in ("a.json.0123abcd", "a.json.89ab4567", "theirs.0123abcd"))
    for path in (dead, young, other):
        path.write_text("half")
    for path in (dead, other):
        os.utime(path, (1, 1))
    write_json({}, tmp_path / "a.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, other.name, "a.json"]


def test_who_waits_for_a_lock_says_for_which_and_for_whom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / ".lock"
    with exclusive(path):
        started = time.monotonic()
        with (
            pytest.raises(
                AttuneError, match=rf"lock {path} to be let go within 1.2 s, found it held by process {os.getpid()}"
            ),
            exclusive(path, timeout_s=1.2),
        ):
            pass
        assert time.monotonic() - started < 5
    assert f"waiting for lock {path}, held by process {os.getpid()}" in caplog.text
    assert caplog.text.count("waiting for") == 1


def test_a_lock_is_held_on_a_full_disk_too(tmp_path: Path) -> None:
    def hold() -> int:
        with exclusive(tmp_path / ".lock"):
            return 0

    outcome = run(hold, tmp_path, Fault("full", "write .lock"))
    assert (outcome.struck, outcome.status, outcome.said) == (True, 0, "")


def test_a_parquet_file_that_was_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / PART
    write_parquet(pa.table({"n": list(range(100))}), path)
    with open_parquet(path) as file:
        assert file.metadata.num_rows == 100
    for size in (path.stat().st_size // 2, 0):
        os.truncate(path, size)
        with pytest.raises(AttuneError, match=f"expected a whole Parquet file at {path}, found: .*run the job"):
            open_parquet(path)


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["a", "b"], "n": [1, 2]})
    for name in ("x", "y"):
        write_parquet(table, tmp_path / name)
    x, y = (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("x", "y"))
    assert x == y


def test_schemas_follow_the_contract() -> None:
    history = arrow_schema(USER_HISTORY)
    assert history.field("history_occurred_at").type == pa.list_(pa.timestamp("us", tz="UTC"))
    assert arrow_schema(USER_EMBEDDING).field("vector").type == pa.list_(pa.float32())
    assert not history.field("user_id").nullable


def test_partitions_are_listed_by_day_and_empty_or_foreign_folders_are_not(tmp_path: Path) -> None:
    for name in ("dt=2026-11-05", "dt=2026-11-04", "dt=2026-11-06", "dt=soon", "other"):
        (tmp_path / name).mkdir()
    for name in ("dt=2026-11-05", "dt=2026-11-04", "dt=soon", "other"):
        (tmp_path / name / PART).touch()
    (tmp_path / "dt=2026-11-06" / ".part-0.parquet.1234").touch()
    assert list_partitions(tmp_path) == [Partition.parse("2026-11-04"), Partition.parse("2026-11-05")]
    assert list_partitions(tmp_path / "absent") == []


def test_a_lock_keeps_others_waiting_until_it_is_let_go(tmp_path):
    import fcntl

    from training.storage import exclusive

    path = tmp_path / "folder" / ".lock"
    with exclusive(path), path.open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_is_taken_by_one_open_file_until_it_is_closed(tmp_path: Path) -> None:
    first, second = ((tmp_path / "lock").open("w") for _ in range(2))
    with second:
        with first:
            assert try_lock(first)
            assert not try_lock(second)
        assert try_lock(second.fileno())
