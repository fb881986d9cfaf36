"""In Parquet a user's rows go, and other rows keep everything but the mention."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from serving_export.erasure.parquet_files import erase, find
from serving_export.erasure.people import People
from training.storage import write_parquet


def _write(path: Path, **columns: object) -> Path:
    write_parquet(pa.table(columns), path)
    return path


def test_own_rows_go_and_mentions_are_masked(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.parquet",
        user_id=["u001", "u007", "u008"],
        note=["shared by u007", "x", None],
        lists=[["u007", "u9"], [], None],
        item_id=["u007", "i1", "i2"],
    )
    people = People(["u007"])
    assert find(path, people) == ["column user_id: 1 rows", "column note: 1 rows", "column lists: 1 rows"]
    assert erase(path, people) == 3
    assert find(path, people) == []
    rows = pq.read_table(path).to_pylist()
    assert [row["user_id"] for row in rows] == ["u001", "u008"]
    assert (rows[0]["note"], rows[0]["lists"]) == ("shared by ****", ["****", "u9"])
    assert rows[0]["item_id"] == "u007", "an item of that name stays"


def test_an_untouched_file_keeps_its_bytes(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", user_id=["u001"])
    before = path.read_bytes()
    assert erase(path, People(["u007"])) == 0
    assert path.read_bytes() == before


def test_what_is_left_is_what_would_be_written_without_the_user(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", user_id=["u001", "u007"], value=[1.5, 2.5])
    other = _write(tmp_path / "b.parquet", user_id=["u001"], value=[1.5])
    erase(path, People(["u007"]))
    assert path.read_bytes() == other.read_bytes()


def test_numbers_and_dictionaries_are_ids_too(tmp_path: Path) -> None:
    numbers = _write(tmp_path / "a.parquet", user_id=[41, 42])
    coded = _write(tmp_path / "b.parquet", user_id=pa.array(["41", "42"]).dictionary_encode())
    for path in (numbers, coded):
        assert erase(path, People(["42"])) == 1
        assert find(path, People(["42"])) == []


def test_quarantined_rows_go_by_the_row_as_it_came(tmp_path: Path) -> None:
    raw = ['{"user_id": "42"}', '{"user_id": "7", "item_id": "42"}']
    path = _write(tmp_path / "a.parquet", reason=["a", "b"], value=["42", "42"], raw=raw)
    assert erase(path, People(["42"])) == 1
    assert pq.read_table(path)["raw"].to_pylist() == raw[1:]
