from __future__ import annotations

from pathlib import Path

import pytest

from training.contracts.errors import AttuneError, MissingArtefact
from training.ingest.sources import read_csv, read_parquet, read_separated, read_table, require_file


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_read_off_the_header(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"a{delimiter}b\n01{delimiter}\n")
    assert read_csv(path).to_pylist() == [{"a": "01", "b": None}]


def test_quotes_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'\xef\xbb\xbf"a",b\n"1,5",2\n')
    assert read_csv(path).to_pylist() == [{"a": "1,5", "b": "2"}]


def test_separators_may_be_long_and_text_latin(tmp_path: Path) -> None:
    path = tmp_path / "x.dat"
    path.write_bytes('1::Caf\xe9: "A", B\n'.encode("latin-1"))
    rows = read_separated(path, "::", ("id", "title"), "latin-1")
    assert rows.to_pylist() == [{"id": "1", "title": 'Café: "A", B'}]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match=r"expected a file at .*gone\.csv, found none; look elsewhere"):
        require_file(tmp_path / "gone.csv", "look elsewhere")
    (tmp_path / "x.parquet").write_bytes(b"PAR1....")
    with pytest.raises(AttuneError, match=r"expected a whole Parquet file at .*x\.parquet"):
        read_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    with pytest.raises(AttuneError, match=r"expected \.csv, \.tsv, \.parquet or \.jsonl, found .*x\.xlsx"):
        read_table(tmp_path / "x.xlsx")
