"""Text is masked where it lies; what is packed is packed again; arrays of text lose the cells."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from serving_export.erasure import texts
from serving_export.erasure.people import People

PEOPLE = People(["u007"])


def test_a_log_that_is_being_written_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "task.log"
    with path.open("a") as log:
        log.write("dropped u007\n")
        log.flush()
        assert texts.erase_text(path, PEOPLE) == 1
        log.write("and went on\n")
    assert path.read_text() == "dropped ****\nand went on\n"
    assert texts.find_text(path, PEOPLE) == []
    assert texts.erase_text(path, PEOPLE) == 0


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    assert texts.erase_text(tmp_path / "a.txt", PEOPLE) == 0


def test_json_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"users": ["u007", "m\u00fcller u007"]}))
    texts.erase_text(path, PEOPLE)
    assert json.loads(path.read_text()) == {"users": ["****", "m\u00fcller ****"]}


def test_a_plain_id_is_found_where_json_lists_users(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"user_ids": ["41", "42"], "items": ["42"]}))
    assert texts.find_text(path, People(["42"])) == ["1 times"]
    assert texts.find_text(path, People(["43"])) == []


def test_gzip_and_zip_are_packed_again(tmp_path: Path) -> None:
    packed, archive = tmp_path / "a.log.gz", tmp_path / "b.zip"
    packed.write_bytes(gzip.compress(b"for u007 and u008"))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("one.txt", "u007 " * 100)
        target.writestr("two.txt", "u008")
    assert texts.find_gzip(packed, PEOPLE)
    assert texts.find_zip(archive, PEOPLE) == ["member one.txt"]
    assert (texts.erase_gzip(packed, PEOPLE), texts.erase_zip(archive, PEOPLE)) == (1, 1)
    assert gzip.decompress(packed.read_bytes()) == b"for **** and u008"
    assert texts.find_gzip(packed, PEOPLE) == texts.find_zip(archive, PEOPLE) == []
    with zipfile.ZipFile(archive) as found:
        assert found.read("two.txt") == b"u008"


def test_arrays_of_text_lose_their_cells_and_numbers_are_let_be(tmp_path: Path) -> None:
    path, numbers = tmp_path / "user_ids.npy", tmp_path / "vectors.npy"
    np.save(path, np.array([b"u006", b"u007"]))
    np.save(numbers, np.frombuffer(b"u007" * 4, dtype=np.float32))
    assert texts.find_array(path, PEOPLE) == ["1 times"]
    assert texts.find_array(numbers, PEOPLE) == []
    assert texts.erase_array(path, PEOPLE) == 1
    assert np.load(path).tolist() == [b"u006", b""]
    packed = io.BytesIO()
    np.savez(packed, ids=np.array(["u007", "u8"]), x=np.load(numbers))
    (tmp_path / "a.npz").write_bytes(packed.getvalue())
    assert texts.find_zip(tmp_path / "a.npz", PEOPLE) == ["member ids.npy"]
    texts.erase_zip(tmp_path / "a.npz", PEOPLE)
    assert np.load(tmp_path / "a.npz")["ids"].tolist() == ["", "u8"]
