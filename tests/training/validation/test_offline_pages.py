"""The pages that Great Expectations writes need no other host than the one that keeps them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from training.contracts.partitions import Partition
from training.settings import Settings
from training.validation.data_docs import docs_dir
from training.validation.offline_pages import CARRIED, FOLDER, offline
from training.validation.runner import validate

PARTITION = Partition.parse("2026-11-05")
LOADED = re.compile(r"<(?:link|script|img)\b[^>]*?(?:href|src)=\"([^\"]+)\"", re.DOTALL)


@pytest.fixture
def site(tmp_path: Path, good_frame: Callable[[str], pd.DataFrame]) -> Path:
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    validate(settings, "raw_interactions", good_frame("raw_interactions"), PARTITION)
    return docs_dir(settings, PARTITION, "raw_interactions")


def test_whatever_a_page_loads_lies_in_the_home(site: Path) -> None:
    found = [page for page in site.rglob("*.html") if page.name != "index.html"]
    assert len(found) == 2
    for page in found:
        loaded = LOADED.findall(page.read_text(encoding="utf-8"))
        assert {Path(name).name for name in loaded} >= {*CARRIED, "logo-long.png", "favicon.ico"}
        for name in [*loaded, *re.findall(r"url\('?(.*?)'?\)", page.read_text(encoding="utf-8"))]:
            assert (page.parent / name).is_file(), name


def test_the_index_leads_to_the_one_result(site: Path) -> None:
    target = re.search(r"url=([^\"]+)\"", (site / "index.html").read_text(encoding="utf-8"))
    assert target is not None
    assert "Expectation Validation Result" in (site / target[1]).read_text(encoding="utf-8")


def test_the_home_carries_each_file_once(site: Path) -> None:
    shared = site.parent.parent / "static" / FOLDER
    assert {path.name for path in shared.iterdir()} == {*CARRIED}
    assert "Bootstrap v4" in (shared / "bootstrap.min.css").read_text(encoding="utf-8")[:200]


@pytest.mark.parametrize(
    ("remote", "local"),
    [
        ('<script src="https://code.jquery.com/jquery-3.7.1.min.js"></script>', "s/bootstrap4/jquery.min.js"),
        (
            '<script src="https://a/umd/popper.min.js" integrity="sha384-x"\n crossorigin="a">\n</script>',
            "s/bootstrap4/popper.min.js",
        ),
        ('<link rel="stylesheet" href="https://b/bootstrap.min.css"/>', "s/bootstrap4/bootstrap.min.css"),
        (
            '<img src="https://great-expectations-web-assets.s3.us-east-2.amazonaws.com/logo-long.png?d=1">',
            "s/images/logo-long.png",
        ),
    ],
)
def test_a_file_of_another_host_is_replaced_by_the_home_s(remote: str, local: str) -> None:
    page = offline(f"<head>{remote}</head>", "s")
    assert "https://" not in page
    assert "integrity" not in page
    assert LOADED.findall(page) == [local]


@pytest.mark.parametrize(
    "remote", ['<script src="https://c/npm/vega@5"></script>', '<link href="https://d/bootstrap-table.min.css">']
)
def test_what_the_home_does_not_carry_is_left_out(remote: str) -> None:
    assert LOADED.findall(offline(f"<head>{remote}</head>", "s")) == []


def test_a_link_that_a_reader_may_follow_stays() -> None:
    assert 'href="https://greatexpectations.io"' in offline('<a href="https://greatexpectations.io">GX</a>', "s")
