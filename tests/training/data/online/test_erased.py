"""Whatever a snapshot holds, erased users do not get online, and are not kept there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from training.contracts.tombstones import TOMBSTONES, Tombstones
from training.data.online.erased import WithoutErased

KEY = "00" * 32


class _Kept:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, view: str, blocks: Iterable[pa.RecordBatch]) -> int:
        for block in blocks:
            self.written += block.column(0).to_pylist()
        return len(self.written)

    def delete_keys(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        return self.write(view, keys)

    def num_served(self, view: str, keys: Iterable[pa.RecordBatch]) -> int:
        return self.write(view, keys)

    def keep_only(self, view: str, slot: str, kept: Iterable[pa.RecordBatch]) -> int:
        return self.write(view, kept)


def _block(name: str, *ids: str) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(ids)], names=[name])


def _bury(folder: Path, *users: str) -> None:
    marks = frozenset(map(Tombstones(KEY).mark, users))
    (folder / TOMBSTONES).write_text(json.dumps(Tombstones(KEY, marks).to_json()))


def test_erased_users_are_left_out_of_every_block_and_kept_set(tmp_path: Path) -> None:
    _bury(tmp_path, "u1", "u3")
    for call in (lambda w, b: w.write("v", b), lambda w, b: w.keep_only("v", "", b)):
        inner = _Kept()
        call(WithoutErased(inner, tmp_path), [_block("user_id", "u1", "u2"), _block("user_id", "u3")])
        assert inner.written == ["u2"]


def test_who_is_erased_between_two_blocks_is_left_out_of_the_second(tmp_path: Path) -> None:
    inner = _Kept()

    def blocks() -> Iterable[pa.RecordBatch]:
        yield _block("user_id", "u1")
        _bury(tmp_path, "u2")
        yield _block("user_id", "u2", "u3")

    WithoutErased(inner, tmp_path).write("v", blocks())
    assert inner.written == ["u1", "u3"]


def test_items_and_keys_to_delete_pass(tmp_path: Path) -> None:
    _bury(tmp_path, "u1")
    inner = _Kept()
    WithoutErased(inner, tmp_path).write("v", [_block("item_id", "u1")])
    WithoutErased(inner, tmp_path).delete_keys("v", [_block("user_id", "u1")])
    assert inner.written == ["u1", "u1"]
