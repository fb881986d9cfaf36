"""feature_repo declares and does nothing else."""

import ast

import pytest

from training.data.feature_store import FEATURE_REPO

FILES = sorted(FEATURE_REPO.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_files_are_short_and_only_declare(file) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 80
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef)
    assert all(isinstance(node, allowed) for node in ast.parse(text).body)


def test_the_four_nouns_are_there() -> None:
    assert [file.stem for file in FILES] == ["data_sources", "entities", "feature_services", "feature_views"]
