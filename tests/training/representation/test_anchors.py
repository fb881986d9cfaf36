from dataclasses import replace

import numpy as np
import pytest

from tests.training.representation.trained_home import LAST, TrainedHome
from training.data.vector_columns import stack_vectors
from training.representation.anchors import Anchors
from training.representation.item_space import ItemSpaceConfig, learn_item_space
from training.representation.rows import ensure_snapshot, read_snapshot
from training.representation.user_space import UserSpace

pytestmark = pytest.mark.integration
VECTORS = [f"taste_{modality}_{window}" for modality in ("content", "collaborative") for window in ("7d", "30d", "all")]


@pytest.fixture(scope="module")
def frame(trained: TrainedHome):
    ensure_snapshot(trained.settings, LAST, trained.candidate.item_space_id)
    return read_snapshot(trained.settings, LAST, trained.candidate.item_space_id)


@pytest.fixture(scope="module")
def anchors(trained: TrainedHome, frame) -> Anchors:
    return Anchors.draw(trained.settings, LAST, frame)


def test_anchors_are_users_with_history(anchors):
    assert anchors.user_ids == [f"u{n:03}" for n in range(60)], "those who only picked say nothing of what users do"
    assert 15 < anchors.judging.sum() < 45


def test_fewer_are_a_draw_by_hash_of_which_newcomers_change_little(trained, frame):
    settings = replace(trained.settings, frame_num_anchors=20)
    drawn = set(Anchors.draw(settings, LAST, frame).user_ids)
    before = set(Anchors.draw(settings, LAST, frame[frame["user_id"] < "u050"]).user_ids)
    assert len(drawn) == len(before) == 20
    assert drawn & {f"u{n:03}" for n in range(50)} <= before, "a user leaves only for one who came"


def test_pooled_again_they_are_what_the_product_pooled(trained, frame, anchors):
    """The very rows of the day's snapshot, to the bit, so that an encoder cannot tell them apart."""
    again = anchors.pooled_in(trained.settings, trained.candidate.item_space_id, LAST)
    expected = frame[frame["user_id"].isin(anchors.user_ids)].sort_values("user_id", ignore_index=True)
    for name in [*VECTORS, "onboarding_content", "onboarding_collaborative"]:
        np.testing.assert_array_equal(stack_vectors(again[name]), stack_vectors(expected[name]))
    for name in ("count_taste_7d", "count_onboarding", "country", "count_view_180d"):
        assert again[name].tolist() == expected[name].tolist()
    space = UserSpace.load(trained.settings, trained.candidate.space_id)
    np.testing.assert_array_equal(space.encode(again), space.encode(expected))


def test_in_a_later_item_space_the_same_events_are_pooled(trained, anchors):
    items = learn_item_space(trained.settings, LAST, ItemSpaceConfig(width=6), trial=True)
    again = anchors.pooled_in(trained.settings, items.item_space_id, LAST)
    assert set(again["item_space_id"]) == {items.item_space_id}
    assert stack_vectors(again["taste_content_all"]).shape == (60, 6)
    first = anchors.pooled_in(trained.settings, trained.candidate.item_space_id, LAST)
    assert again["count_taste_all"].tolist() == first["count_taste_all"].tolist()


def test_they_survive_the_disk(anchors, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    anchors.save(tmp_path, vectors)
    again, kept = Anchors.load(tmp_path, anchors.partition, anchors.seed)
    np.testing.assert_array_equal(kept, vectors)
    assert again.rows.equals(anchors.rows)
    assert again.events.equals(anchors.events)


def test_a_user_who_is_taken_out_is_gone_with_every_event(anchors):
    left, kept = anchors.without({"u007", "nobody"})
    assert kept.sum() == 59
    assert "u007" not in left.user_ids
    assert "u007" not in left.events["user_id"].to_pylist()
    assert len(left.events) < len(anchors.events)
