import json
from pathlib import Path

import pytest

from training.contracts.partitions import Partition
from training.registry.in_use import frame_in_force, item_space_of, published_spaces
from training.representation.item_space import item_spaces_in_use
from training.settings import Settings

DAY = Partition.parse("2026-03-24")


@pytest.fixture
def home(tmp_path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def publish(home: Settings, live: str, legacy: str | None) -> None:
    pointer = {"live": {"space_id": live}, "legacy": {"space_id": legacy} if legacy else None}
    write(home.published_dir / "pointer.json", pointer)


def test_before_anything_nothing_is_in_use(home):
    assert published_spaces(home) == []
    assert item_spaces_in_use(home, DAY) == []


def test_live_comes_first(home):
    publish(home, "s2", "s1")
    assert published_spaces(home) == ["s2", "s1"]
    publish(home, "s2", None)
    assert published_spaces(home) == ["s2"]


def test_a_pinned_space_is_served_and_named_once(home):
    served = {
        "live": {"space_id": "s3"},
        "legacy": {"space_id": "s2"},
        "pinned": [{"space_id": "s1"}, {"space_id": "s2"}],
    }
    write(home.published_dir / "pointer.json", served)
    assert published_spaces(home) == ["s3", "s2", "s1"]


def test_a_space_that_is_gone_reads_nothing(home):
    assert item_space_of(home, "s9") is None


def test_a_stored_space_names_the_item_space_that_it_reads(home):
    write(home.space_dir("s1") / "manifest.json", {"item_space_id": "i1", "note": "ö"})
    assert item_space_of(home, "s1") == "i1"


def test_the_frame_in_force_is_the_pointers(home):
    assert frame_in_force(home) == ""
    publish(home, "s1", None)
    assert frame_in_force(home) == ""
    write(home.published_dir / "pointer.json", {"live": {"space_id": "s1"}, "frame": "frame-s1"})
    assert frame_in_force(home) == "frame-s1"
