import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.training.representation.feature_home import two_tastes
from training.contracts.columns import MODALITIES, POOLED_FEATURES
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.representation.item_space import ItemSpaceConfig, learn_item_space
from training.representation.taste import pool
from training.storage import PART, arrow_schema

LAST = Partition.parse("2026-03-24")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = two_tastes(tmp_path_factory.mktemp("taste"))
    for partition in (LAST, LAST.shift(-1), LAST.shift(-2)):
        world.write_snapshots(partition)
    return world


@pytest.fixture(scope="module")
def space(world):
    return learn_item_space(world.settings, LAST.shift(-2), ItemSpaceConfig(width=6))


def read(world, space, table, partition):
    return pq.read_table(world.settings.features_dir(table, partition, space.item_space_id) / PART, partitioning=None)


def test_a_row_per_known_user_in_the_contract_schema(world, space):
    pooled = pool(world.settings, LAST, space.item_space_id)
    assert pooled.num_users == 64
    for name, contract in POOLED_FEATURES.items():
        table = read(world, space, name, LAST)
        assert table.schema.equals(arrow_schema(contract))
        assert table["user_id"].to_pylist() == sorted(world.profiles)
        assert set(table["item_space_id"].to_pylist()) == {space.item_space_id}
        assert set(table["event_timestamp"].to_pylist()) == {LAST.as_of}


def test_means_are_those_of_the_vectors(world, space):
    pool(world.settings, LAST, space.item_space_id)
    rows = read(world, space, "user_taste", LAST).to_pandas().set_index("user_id")
    for user_id in ("u000", "u007"):
        items = [space.item_ids.index(e["item_id"]) for e in world.events if e["user_id"] == user_id]
        assert rows.loc[user_id, "count_taste_all"] == len(items) == 24
        for modality in MODALITIES:
            expected = getattr(space, modality)[items].mean(axis=0)
            np.testing.assert_allclose(rows.loc[user_id, f"taste_{modality}_all"], expected, atol=1e-5)
    assert 0 < rows.loc["u000", "count_taste_7d"] < 24


def test_a_user_without_behaviour_has_zeros_and_the_picks(world, space):
    pool(world.settings, LAST, space.item_space_id)
    taste = read(world, space, "user_taste", LAST).to_pandas().set_index("user_id").loc["cold0"]
    assert taste["count_taste_all"] == 0
    assert not taste["taste_content_all"].any()
    picks = read(world, space, "user_onboarding", LAST).to_pandas().set_index("user_id")
    assert picks.loc["cold0", "count_onboarding"] == 1
    row = space.item_ids.index("i00")
    np.testing.assert_allclose(picks.loc["cold0", "onboarding_content"], space.content[row], atol=1e-5)
    assert picks.loc["u000", "count_onboarding"] == 0


def test_order_and_repetition_leave_the_same_bytes(tmp_path):
    """Three days in a row, from running sums; the last day alone, from nothing; and once more."""
    seen = []
    for days in ((-2, -1, 0), (0,), (0, -1, 0)):
        world = two_tastes(tmp_path / str(len(seen)))
        for back in (-2, -1, 0):
            world.write_snapshots(LAST.shift(back))
        item_space_id = learn_item_space(world.settings, LAST.shift(-2), ItemSpaceConfig(width=6)).item_space_id
        ways = [pool(world.settings, LAST.shift(day), item_space_id).incremental for day in days]
        assert ways[-1] == (len(days) == 3)
        folder = world.settings.home / "features"
        paths = [folder / t / f"item_space={item_space_id}" / f"dt={LAST}" / PART for t in POOLED_FEATURES]
        seen.append([path.read_bytes() for path in paths])
    assert seen[0] == seen[1] == seen[2]


def test_without_features_it_says_what_to_run(world, space):
    with pytest.raises(MissingArtefact, match="user_profile snapshot"):
        pool(world.settings, LAST.shift(9), space.item_space_id)
