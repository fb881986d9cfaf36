"""Tombstones name nobody, and a reader sees them as soon as the file changes."""

from __future__ import annotations

import json
from pathlib import Path

from training.contracts.tombstones import TOMBSTONES, TombstoneFile, Tombstones

KEY = "00" * 32


def _write(folder: Path, *users: str) -> None:
    found = Tombstones(KEY)
    marks = frozenset(found.mark(user) for user in users)
    (folder / "next").write_text(json.dumps(Tombstones(KEY, marks).to_json()))
    (folder / "next").rename(folder / TOMBSTONES)


def test_nobody_is_erased_without_a_file(tmp_path: Path) -> None:
    found = TombstoneFile(tmp_path).read()
    assert not found
    assert found.among(["u1", "u2"]) == [False, False]


def test_a_reader_follows_the_file(tmp_path: Path) -> None:
    file = TombstoneFile(tmp_path)
    _write(tmp_path, "u1")
    assert file.read().among(["u1", "u2"]) == [True, False]
    assert file.read() is file.read(), "read once while it stays the same"
    _write(tmp_path, "u1", "u2")
    assert file.read().among(["u1", "u2", "u3"]) == [True, True, False]


def test_the_file_names_nobody_and_another_key_gives_other_marks(tmp_path: Path) -> None:
    _write(tmp_path, "anna@example.org")
    assert "anna" not in (tmp_path / TOMBSTONES).read_text()
    assert Tombstones(KEY).mark("u1") != Tombstones("11" * 32).mark("u1")


def test_half_a_surrogate_pair_is_nobody() -> None:
    assert Tombstones(KEY, frozenset({"00"})).among(["\ud800"]) == [False]
