import json
import shutil
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training.representation.feature_home import FeatureHome, feature_home
from training.contracts.partitions import Partition
from training.representation.content import ContentEncoder
from training.representation.item_space import ItemSpace
from training.representation.item_table import UNIT, ItemTable, build_item_table
from training.representation.taste_sums import KEEP_STATES, taste_sums

DAY = Partition.parse("2026-02-20")
NO_PROFILE = pd.DataFrame(columns=["item_id", "category", "subcategory", "title", "attributes"])


def table_of(items: dict[str, tuple[float, float]], late: pd.DataFrame = NO_PROFILE) -> ItemTable:
    content = np.zeros((len(items), 2), np.float32)
    encoder = ContentEncoder.learn([["category=x"], ["category=x"], ["category=y"], ["category=y"]], width=2, seed=1)
    vectors = np.array(list(items.values()), np.float32)
    space = ItemSpace(
        item_space_id="20260201-0000abcd",
        partition="2026-02-01",
        item_ids=tuple(items),
        collaborative=vectors,
        content=content,
        encoder=encoder,
        basis="20260201-0000abcd",
    )
    return build_item_table(space, late)


TABLE = table_of({"a": (1.0, 0.0), "b": (0.6, 0.8), "c": (-0.28, 0.96)})


def small_log(home: FeatureHome) -> None:
    """ann: today, exactly 7 days before as_of, a microsecond more, long ago. ben: one item that nobody knows."""
    home.add("ann", "a", DAY.starts_at)
    home.add("ann", "b", DAY.as_of - timedelta(days=7))
    home.add("ann", "c", DAY.as_of - timedelta(days=7, microseconds=1))
    home.add("ann", "a", DAY.as_of - timedelta(days=300))
    home.add("ben", "stranger", DAY.starts_at)


def test_windows_by_hand(tmp_path):
    home = feature_home(tmp_path)
    small_log(home)
    home.write_interactions(DAY.shift(-300), DAY)
    sums, incremental = taste_sums(home.settings, DAY, TABLE)
    assert not incremental
    assert sums.user_ids == ("ann", "ben")
    counts = sums.values[:, :, -1]
    np.testing.assert_array_equal(counts, [[2, 1], [3, 1], [3, 1], [4, 1]])
    np.testing.assert_allclose(sums.values[0, 0, :2] / UNIT, [1.6, 0.8], atol=1e-6)
    assert not sums.values[:, 1, :-1].any(), "an item without a vector counts and adds nothing"
    assert sums.unknown == {"stranger"}


def test_rows_follow_the_order_asked_for_and_strangers_are_zero(tmp_path):
    home = feature_home(tmp_path)
    small_log(home)
    home.write_interactions(DAY.shift(-300), DAY)
    sums, _ = taste_sums(home.settings, DAY, TABLE)
    rows = sums.rows(pa.array(["nobody", "ben", "ann"]))
    np.testing.assert_array_equal(rows[:, 2], sums.values[:, 0])
    assert not rows[:, 0].any()


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "ben", "cem"]),
        st.sampled_from(["a", "b", "c", "stranger"]),
        st.integers(0, 45),
        st.integers(0, 6),
        st.integers(0, 86_399_999_999),
    ),
    max_size=16,
)


@given(EVENTS)
@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_running_sums_equal_recomputed_ones_to_the_last_bit(tmp_path_factory, events):
    """Days one after the other, late arrivals and all, against the last day from nothing."""
    home = feature_home(tmp_path_factory.mktemp("sums"))
    for user, item, days_ago, late, microsecond in events:
        occurred = DAY.shift(-days_ago)
        arrived = min(occurred.shift(late), DAY)
        home.add(user, item, occurred.starts_at + timedelta(microseconds=microsecond), arrived)
    for arrived_at in {event["arrived_at"] for event in home.events}:
        home.write_interactions(Partition(arrived_at.date()), Partition(arrived_at.date()))
    for back in range(9, -1, -1):
        advanced, incremental = taste_sums(home.settings, DAY.shift(-back), TABLE)
        assert incremental == (back < 9)
    shutil.rmtree(home.settings.home / "taste_sums")
    recomputed, incremental = taste_sums(home.settings, DAY, TABLE)
    assert not incremental
    assert advanced.user_ids == recomputed.user_ids
    assert advanced.unknown == recomputed.unknown
    assert advanced.values.tobytes() == recomputed.values.tobytes()


def two_days(tmp_path) -> FeatureHome:
    home = feature_home(tmp_path)
    home.add("ann", "a", DAY.shift(-1).starts_at)
    home.add("ann", "later", DAY.shift(-1).starts_at)
    home.add("ben", "b", DAY.starts_at)
    home.write_interactions(DAY.shift(-1), DAY)
    taste_sums(home.settings, DAY.shift(-1), TABLE)
    return home


def test_facts_that_changed_since_are_summed_anew(tmp_path):
    home = two_days(tmp_path)
    home.add("cem", "a", DAY.shift(-1).starts_at)
    home.write_interactions(DAY.shift(-1), DAY)
    sums, incremental = taste_sums(home.settings, DAY, TABLE)
    assert not incremental
    assert sums.user_ids == ("ann", "ben", "cem")


def test_an_item_that_gets_its_vector_later_is_summed_anew(tmp_path):
    home = two_days(tmp_path)
    row = {"item_id": "later", "category": "x", "subcategory": "unknown", "title": "unknown", "attributes": []}
    known_now = table_of({"a": (1.0, 0.0), "b": (0.6, 0.8), "c": (-0.28, 0.96)}, pd.DataFrame([row]))
    sums, incremental = taste_sums(home.settings, DAY, known_now)
    assert not incremental
    assert sums.unknown == frozenset()
    assert sums.values[0, 0, 2:4].any()


def test_only_the_newest_states_are_kept(tmp_path):
    home = two_days(tmp_path)
    home.write_interactions(DAY.shift(-1), DAY.shift(4))
    for offset in range(5):
        taste_sums(home.settings, DAY.shift(offset), TABLE)
    states = sorted((tmp_path / "taste_sums").glob("*/dt=*/state.json"))
    assert len(states) == KEEP_STATES
    assert json.loads(states[-1].read_text())["user_ids"] == ["ann", "ben"]


@pytest.mark.parametrize("gap", [2, 3])
def test_without_the_day_before_everything_is_summed(tmp_path, gap):
    home = two_days(tmp_path)
    home.write_interactions(DAY.shift(-1), DAY.shift(gap))
    assert not taste_sums(home.settings, DAY.shift(gap), TABLE)[1]
