from __future__ import annotations

from pathlib import Path

import pytest

from training.contracts.errors import AttuneError, MissingArtefact
from training.ingest.sources import is_guessed, kind_of, read_parquet, require_file


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match=r"expected a file at .*gone\.csv, found none; look elsewhere"):
        require_file(tmp_path / "gone.csv", "look elsewhere")
    (tmp_path / "x.parquet").write_bytes(b"PAR1....")
    with pytest.raises(AttuneError, match=r"expected a whole Parquet file at .*x\.parquet"):
        read_parquet(tmp_path / "x.parquet")
    with pytest.raises(AttuneError, match=r"expected \.csv, \.tsv, \.parquet or \.jsonl, found .*x\.xlsx"):
        kind_of(tmp_path / "x.xlsx")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.csv", "text"), ("a.PARQUET", "parquet"), ("a.jsonl.gz", "json"), ("a.tsv.zst", "text"), ("u.data", "text")],
)
def test_a_name_tells_how_a_file_is_read(tmp_path: Path, name: str, kind: str) -> None:
    assert kind_of(tmp_path / name) == kind


def test_files_that_nobody_named_are_looked_at_by_their_ending(tmp_path: Path) -> None:
    for name in ("a.csv", "b.json.gz", ".hidden.csv", "_SUCCESS", "README", "c.xlsx"):
        (tmp_path / name).write_text("x")
    assert sorted(path.name for path in tmp_path.iterdir() if is_guessed(path)) == ["a.csv", "b.json.gz"]
