from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from training.contracts.errors import ContractViolation
from training.contracts.partitions import Partition
from training.settings import Settings
from training.validation.data_docs import docs_dir
from training.validation.runner import require, validate

PARTITION = Partition.parse("2026-11-05")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


def pages(settings: Settings) -> list[str]:
    root = docs_dir(settings, PARTITION, "raw_interactions")
    return sorted(str(p.relative_to(root)) for p in root.rglob("*.html") if "static" not in p.parts)


def test_checks_say_what_was_seen_and_what_is_allowed(
    settings: Settings, good_frame: Callable[[str], pd.DataFrame]
) -> None:
    frame = good_frame("raw_interactions").assign(event_type=["view", "warp", "warp", "view"])
    checks = {check.name: check for check in validate(settings, "raw_interactions", frame, PARTITION)}
    bad = checks.pop("raw_interactions.ColumnValuesToBeInSet(event_type)")
    assert (bad.passed, bad.observed) == (False, "2 of 4 unexpected rows, such as 'warp'")
    assert bad.allowed.startswith("one of view, click")
    assert all(check.passed for check in checks.values())


def test_a_person_can_open_the_pages_and_they_show_the_failure(
    settings: Settings, good_frame: Callable[[str], pd.DataFrame]
) -> None:
    frame = good_frame("raw_interactions").assign(event_type="warp")
    with pytest.raises(ContractViolation) as error:
        require(settings, "raw_interactions", frame, PARTITION)
    index = docs_dir(settings, PARTITION, "raw_interactions") / "index.html"
    assert str(index) in str(error.value)
    assert "4 of 4 unexpected rows, such as 'warp'" in str(error.value)
    assert "\n" not in str(error.value)
    (page,) = [name for name in pages(settings) if name.startswith("validations")]
    assert "warp" in (index.parent / page).read_text(encoding="utf-8")
    assert page in index.read_text(encoding="utf-8")  # it leads there
    assert (index.parent / "static" / "styles").is_dir()


def test_running_again_replaces_the_pages(settings: Settings, good_frame: Callable[[str], pd.DataFrame]) -> None:
    first = require(settings, "raw_interactions", good_frame("raw_interactions"), PARTITION)
    names = pages(settings)
    assert require(settings, "raw_interactions", good_frame("raw_interactions"), PARTITION) == first
    assert pages(settings) == names
    home = docs_dir(settings, PARTITION, "raw_interactions").parent
    assert [path.name for path in home.iterdir()] == ["raw_interactions"]


def test_a_missing_column_is_named_among_the_failures(
    settings: Settings, good_frame: Callable[[str], pd.DataFrame]
) -> None:
    frame = good_frame("raw_interactions").drop(columns="item_id")
    with pytest.raises(ContractViolation, match=r"found missing item_id \(and \d+ more checks failed\)"):
        require(settings, "raw_interactions", frame, PARTITION)
