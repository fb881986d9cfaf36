"""A file of rankings has the form that is asked for, or that its ending names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving_export.rank_file import Form, Line, form_of, open_rank_file
from training.contracts.errors import AttuneError

LINE = Line("u1", ["i1", "i2"], np.array([0.5, 0.25], np.float32), "matching")
VALUES = {"query": "u1", "ids": ["i1", "i2"], "scores": [0.5, 0.25], "consumer": "matching"}


@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [
        ("a.parquet", None, "parquet"),
        ("a.JSONL", None, "jsonl"),
        ("a.txt", None, "tsv"),
        ("a", None, "tsv"),
        ("a.parquet", "jsonl", "jsonl"),
    ],
)
def test_the_form_is_the_one_named_or_the_endings(name: str, form: Form | None, expected: Form) -> None:
    assert form_of(Path(name), form) == expected


def test_each_form_holds_the_same_rankings(tmp_path: Path) -> None:
    for form in ("tsv", "parquet", "jsonl"):
        with open_rank_file(tmp_path / form, form) as file:
            file.write([LINE])
            file.write([])
            file.write([LINE])
    assert (tmp_path / "tsv").read_text() == "u1\ti1 i2\n" * 2
    assert [json.loads(line) for line in (tmp_path / "jsonl").read_text().splitlines()] == [VALUES] * 2
    assert pq.read_table(tmp_path / "parquet").to_pylist() == [VALUES] * 2


@pytest.mark.parametrize("line", [Line("u\t1", [], LINE.scores, "m"), Line("u", ["i\n1"], LINE.scores, "m")])
def test_text_refuses_what_could_not_be_told_apart_and_names_the_others(tmp_path: Path, line: Line) -> None:
    with open_rank_file(tmp_path / "out", "tsv") as file, pytest.raises(AttuneError, match="--format parquet"):
        file.write([line])


def test_a_ranking_of_nothing_is_a_line_too(tmp_path: Path) -> None:
    with open_rank_file(tmp_path / "out", "tsv") as file:
        file.write([Line("u1", [], np.zeros(0, np.float32), "matching")])
    assert (tmp_path / "out").read_text() == "u1\t\n"
