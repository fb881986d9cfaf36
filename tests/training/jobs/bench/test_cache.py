"""Results are computed once per key."""

import contextlib
import sys

from training.jobs.bench.cache import Cache, code_hash, library_versions


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


def test_code_hash_follows_source_of_modules_and_whole_packages(tmp_path, monkeypatch):
    package = tmp_path / "hashed_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("hashed_package", None)
    whole, part = code_hash(["hashed_package"]), code_hash(["hashed_package.part"])
    (package / "part.py").write_text("A = 2\n")
    assert code_hash(["hashed_package"]) != whole
    assert code_hash(["hashed_package.part"]) != part


def test_order_of_modules_does_not_matter():
    names = ["training.settings", "training.storage"]
    assert code_hash(names) == code_hash(names[::-1])
    assert code_hash(names) != code_hash(names[:1])


def test_versions_name_the_libraries_that_results_depend_on():
    assert {"implicit", "numpy", "scipy", "torch"} <= set(library_versions())
