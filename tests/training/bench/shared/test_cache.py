"""Results are computed once per key."""

import contextlib
import sys

import pytest

from training.bench.shared.cache import Cache, code_hash, import_closure, library_versions


def test_same_key_is_computed_once_and_another_anew(tmp_path):
    cache, calls = Cache(tmp_path / "results"), []

    def compute():
        calls.append(1)
        return {"n": len(calls)}

    assert cache.get("A b/c", {"x": [1, "y"]}, compute) == {"n": 1}
    assert Cache(tmp_path / "results").get("A b/c", {"x": [1, "y"]}, compute) == {"n": 1}
    assert cache.get("A b/c", {"x": [2, "y"]}, compute) == {"n": 2}
    assert all(path.name.startswith("a-b-c-") for path in (tmp_path / "results").iterdir())


def test_what_is_computed_now_equals_what_is_read_later(tmp_path):
    first = Cache(tmp_path).get("x", {}, lambda: {"weights": (1.0, 2.0)})
    assert first == Cache(tmp_path).get("x", {}, lambda: None) == {"weights": [1.0, 2.0]}


def test_a_failed_result_is_not_kept(tmp_path):
    cache = Cache(tmp_path)
    with contextlib.suppress(ZeroDivisionError):
        cache.get("x", {}, lambda: 1 / 0)
    assert cache.get("x", {}, lambda: 5) == 5


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "hashed_package"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "__init__.py").write_text("B = 1\n")
    (folder / "bench.py").write_text("from hashed_package import middle\n")
    (folder / "middle.py").write_text("def late():\n    from hashed_package.inner.deep import A\n    return A\n")
    (folder / "inner" / "deep.py").write_text("import json\nA = 1\n")
    (folder / "aside.py").write_text("C = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("hashed_package")]:
        del sys.modules[name]


@pytest.mark.parametrize("changed", ["bench.py", "middle.py", "inner/deep.py", "inner/__init__.py"])
def test_code_hash_follows_whatever_is_imported_directly_or_not(package, changed):
    before = code_hash("hashed_package.bench")
    (package / changed).write_text((package / changed).read_text() + "Z = 2\n")
    assert code_hash("hashed_package.bench") != before


def test_code_hash_leaves_out_what_is_not_imported(package):
    before = code_hash("hashed_package.bench")
    (package / "aside.py").write_text("C = 2\n")
    assert code_hash("hashed_package.bench") == before
    assert set(import_closure(["hashed_package.bench"])) == {
        "hashed_package",
        "hashed_package.bench",
        "hashed_package.middle",
        "hashed_package.inner",
        "hashed_package.inner.deep",
    }


def test_code_hash_follows_sql_that_is_read_by_name(package):
    sql = package / "models"
    sql.mkdir()
    (sql / "a.sql").write_text("select 1")
    before = code_hash("hashed_package.bench", folders=[sql])
    (sql / "a.sql").write_text("select 2")
    assert code_hash("hashed_package.bench", folders=[sql]) != before


@pytest.mark.parametrize(
    ("bench", "decides"),
    [
        ("quality.representation", "training.representation.autoencoder"),
        ("cold_start.full", "training.consumers.cold_start.rows"),
        ("quality.peer_rows", "training.data.pair_log"),
        ("losses.rows", "training.ranking.cut"),
        ("cold_start.auc", "training.consumers.cold_start.search"),
    ],
)
def test_what_decides_a_benchmarks_numbers_is_in_its_key(bench, decides):
    assert decides in import_closure([f"training.bench.{bench}"])


def test_versions_name_the_libraries_that_results_depend_on():
    assert {"implicit", "numpy", "scipy", "torch"} <= set(library_versions())
