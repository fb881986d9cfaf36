import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.training.representation.feature_home import two_tastes
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.representation.item_space import (
    ItemSpaceConfig,
    current_item_space,
    index_log,
    item_spaces_in_use,
    learn_item_space,
    load_item_space,
)
from training.settings import Settings
from training.storage import write_json

DAY = Partition.parse("2026-03-24")


@pytest.fixture
def home(tmp_path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def store_space(home: Settings, space_id: str, item_space_id: str) -> None:
    write(home.space_dir(space_id) / "manifest.json", {"space_id": space_id, "item_space_id": item_space_id})


def publish(home: Settings, live: str, legacy: str | None) -> None:
    pointer = {"live": {"space_id": live}, "legacy": {"space_id": legacy} if legacy else None}
    write(home.published_dir / "pointer.json", pointer)


LAST = Partition.parse("2026-03-24")


CONFIG = ItemSpaceConfig(width=8)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = two_tastes(tmp_path_factory.mktemp("items"))
    for partition in (LAST, LAST.shift(-1)):
        world.write_snapshots(partition)
    return world


@pytest.fixture(scope="module")
def space(world):
    return learn_item_space(world.settings, LAST, CONFIG)


def profile(item_id: str, category: str) -> pd.DataFrame:
    row = {"item_id": item_id, "category": category, "subcategory": "unknown", "title": "unknown", "attributes": []}
    return pd.DataFrame([row])


def test_every_known_item_has_a_unit_row_in_both_modalities(space):
    assert space.item_ids == tuple(f"i{n:02}" for n in range(40))
    for vectors in (space.collaborative, space.content):
        assert vectors.shape == (40, 8)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_both_modalities_tell_the_two_kinds_apart(space):
    for vectors in (space.collaborative, space.content):
        similarity = vectors @ vectors.T
        assert similarity[:20, :20].mean() > similarity[:20, 20:].mean() + 0.2


def test_the_id_names_partition_and_content(world, space):
    assert space.item_space_id.startswith("20260324-")
    assert len(space.item_space_id) == 17
    assert learn_item_space(world.settings, LAST, CONFIG).item_space_id == space.item_space_id
    other = learn_item_space(replace(world.settings, seed=3), LAST, replace(CONFIG, width=6))
    assert other.item_space_id != space.item_space_id


def test_it_survives_the_disk_and_says_how_it_was_learned(world, space):
    loaded = load_item_space(world.settings, space.item_space_id)
    np.testing.assert_array_equal(loaded.vectors(), space.vectors())
    assert loaded.item_ids == space.item_ids
    manifest = json.loads((world.settings.item_space_dir(space.item_space_id) / "manifest.json").read_text())
    assert manifest["collaborative_method"] in manifest["validation_auc"]
    assert manifest["config"]["width"] == 8


def test_a_missing_item_space_says_what_to_run(world):
    with pytest.raises(MissingArtefact, match="expected item space 20200101-00000000"):
        load_item_space(world.settings, "20200101-00000000")


def test_a_later_item_has_a_content_vector_at_once(space):
    extended = space.extended(profile("i00b", "north"))
    row = extended.item_ids.index("i00b")
    assert extended.item_ids == tuple(sorted(extended.item_ids))
    assert not extended.collaborative[row].any()
    north, south = (extended.item_ids.index(i) for i in ("i00", "i39"))
    assert extended.content[row] @ extended.content[north] > extended.content[row] @ extended.content[south]
    assert extended.item_space_id == space.item_space_id


def test_known_items_keep_their_vectors_whatever_is_said_of_them_now(space):
    extended = space.extended(pd.concat([profile("i00", "south"), profile("new", "south")]))
    kept = [extended.item_ids.index(item_id) for item_id in space.item_ids]
    np.testing.assert_array_equal(extended.vectors()[kept], space.vectors())
    assert space.extended(profile("i00", "south")) is space


def test_renewal_is_due_by_partition(world, space):
    settings = replace(world.settings, item_space_every_days=3)
    assert current_item_space(settings, LAST) is not None
    assert current_item_space(settings, LAST.shift(2)) is not None
    assert current_item_space(settings, LAST.shift(3)) is None
    assert current_item_space(settings, LAST.shift(-1)) is None, "an item space of a later day is not known yet"


def test_what_a_crash_left_half_written_is_no_item_space(world, space, tmp_path):
    settings = replace(world.settings, home=tmp_path)
    folder = settings.item_space_dir(space.item_space_id)
    manifest = {"item_space_id": space.item_space_id, "partition": str(LAST)}
    write_json(manifest, folder / "manifest.json")
    half = folder.with_name(f".{LAST.day:%Y%m%d}-ffffffff.0123abcd")
    write_json(manifest | {"item_space_id": f"{LAST.day:%Y%m%d}-ffffffff"}, half / "manifest.json")
    assert current_item_space(settings, LAST) == space.item_space_id


def test_interactions_after_the_partition_change_nothing(tmp_path):
    world = two_tastes(tmp_path / "more")
    world.write_snapshots(LAST.shift(-1))
    early = learn_item_space(world.settings, LAST.shift(-1), CONFIG)
    moved = two_tastes(tmp_path / "moved")
    moved.events = [e for e in moved.events if e["arrived_at"] < LAST.starts_at]
    moved.add("u000", "i39", LAST.starts_at)
    moved.write_interactions(LAST.shift(-23), LAST)
    moved.write_snapshots(LAST.shift(-1))
    assert learn_item_space(moved.settings, LAST.shift(-1), CONFIG).item_space_id == early.item_space_id


def coded(values):
    known = pa.array(sorted(set(values.to_pylist())))
    return pa.DictionaryArray.from_arrays(pc.index_in(values, value_set=known), known)


def test_index_log_follows_the_item_order():
    users, items = pa.array(["b", "a"]), pa.array(["x", "y"])
    columns = {"user_id": users, "item_id": items, "session_key": pa.array(["s", "s"])}
    rows = pa.table({name: coded(values) for name, values in columns.items()})
    log = index_log(rows, ("w", "x", "y"))
    assert log.item_idx.tolist() == [1, 2]
    assert log.user_idx.tolist() == [1, 0]
    assert (log.num_users, log.num_items) == (2, 3)


def test_item_spaces_of_live_and_legacy_and_of_the_next_retrain(home):
    store_space(home, "s1", "i1")
    store_space(home, "s2", "i2")
    publish(home, "s2", "s1")
    manifest = {"item_space_id": "i3", "partition": "2026-03-20"}
    write(home.item_space_dir("i3") / "manifest.json", manifest)
    assert item_spaces_in_use(home, DAY) == ["i1", "i2", "i3"]
    assert item_spaces_in_use(home, DAY.shift(30)) == ["i1", "i2"], "by then a new one is due"


def test_two_spaces_may_share_an_item_space(home):
    store_space(home, "s1", "i1")
    store_space(home, "s2", "i1")
    publish(home, "s2", "s1")
    assert item_spaces_in_use(home, DAY) == ["i1"]


def test_a_renewal_keeps_the_axes_of_the_one_before(world):
    """Content vectors turn back onto the older ones, those of items that come later too; inner products stay."""
    old = learn_item_space(world.settings, LAST.shift(-1), CONFIG)
    plain = learn_item_space(world.settings, LAST, CONFIG)
    new = learn_item_space(world.settings, LAST, CONFIG, [old])
    assert new.basis == old.item_space_id != new.item_space_id != plain.item_space_id
    np.testing.assert_allclose(new.content @ new.content.T, plain.content @ plain.content.T, atol=1e-5)
    np.testing.assert_allclose(new.content, old.content, atol=0.05)
    assert (
        np.square(new.collaborative - old.collaborative).sum()
        < np.square(plain.collaborative - old.collaborative).sum()
    )
    late = profile("i99", "north")
    both = [space.extended(late).content[space.extended(late).item_ids.index("i99")] for space in (old, new)]
    np.testing.assert_allclose(both[1], both[0], atol=0.05)
    kept = load_item_space(world.settings, new.item_space_id)
    assert kept.basis == old.item_space_id
    facts = json.loads((world.settings.item_space_dir(new.item_space_id) / "manifest.json").read_text())
    assert facts["turn"]["onto"] == old.item_space_id
    assert facts["turn"]["residuals"]["content"] < 0.01


def test_what_a_probe_learned_is_nobodys_current_item_space(tmp_path):
    world = two_tastes(tmp_path)
    world.write_snapshots(LAST)
    tried = learn_item_space(world.settings, LAST, CONFIG, trial=True)
    assert current_item_space(world.settings, LAST) is None
    assert learn_item_space(world.settings, LAST, CONFIG).item_space_id == tried.item_space_id
    assert current_item_space(world.settings, LAST) == tried.item_space_id
    learn_item_space(world.settings, LAST, CONFIG, trial=True)
    assert current_item_space(world.settings, LAST) == tried.item_space_id, "a probe takes nothing away"
