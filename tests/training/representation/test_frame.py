import numpy as np
import pytest

from tests.training.representation.trained_home import LAST, TrainedHome
from training.contracts.errors import MissingArtefact
from training.contracts.frames import frame_of, is_frame
from training.representation.alignment import SpaceMap
from training.representation.anchors import Anchors
from training.representation.frame import Frame, forget_anchors, keep_frame, learn_map, remove_frames
from training.representation.rows import ensure_snapshot, read_snapshot
from training.representation.user_space import UserSpace
from training.storage import new_dir

pytestmark = pytest.mark.integration


@pytest.fixture
def frame(trained: TrainedHome) -> Frame:
    """A frame that begins with the live space of the trained home."""
    space = UserSpace.load(trained.settings, trained.live.space_id)
    ensure_snapshot(trained.settings, LAST, space.ref.item_space_id)
    rows = read_snapshot(trained.settings, LAST, space.ref.item_space_id)
    anchors = Anchors.draw(trained.settings, LAST, rows)
    vectors = space.encode(anchors.pooled_in(trained.settings, space.ref.item_space_id, LAST))
    frame_id = frame_of(space.ref.space_id)
    remove_frames(trained.settings, ())
    with new_dir(trained.settings.frame_dir(frame_id)) as folder:
        keep_frame(folder, space, anchors, vectors)
    return Frame.load(trained.settings, frame_id)


def vectors_of(num: int = 200, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    old = generator.normal(size=(num, width))
    turn, _ = np.linalg.qr(generator.normal(size=(width, width)))
    return ((old - 3) @ turn).astype(np.float32), old.astype(np.float32)


def test_half_of_the_anchors_teach_and_the_others_judge():
    """The judges' vectors are noise: the map must not see them, and the residual must."""
    new, old = vectors_of()
    judging = np.arange(200) % 2 == 1
    space_map, figures = learn_map(new, old, judging)
    assert figures["residual"] < 1e-8
    assert (figures["num_learning"], figures["num_judging"]) == (100, 100)
    assert figures["size_ratio"] == pytest.approx(1.0, abs=1e-3)
    shuffled = new.copy()
    shuffled[judging] = np.random.default_rng(1).permutation(new[judging])
    again, worse = learn_map(shuffled, old, judging)
    np.testing.assert_array_equal(again.rotation, space_map.rotation)
    assert worse["residual"] > 1


def test_the_residual_is_the_share_of_variance_by_hand():
    """Noise of a tenth of the variance on every judging vector leaves a tenth unexplained."""
    new, old = vectors_of(4000)
    judging = np.arange(4000) % 2 == 1
    noise = np.random.default_rng(5).normal(scale=np.sqrt(0.1), size=new.shape).astype(np.float32)
    _, figures = learn_map(np.where(judging[:, None], new + noise, new), old, judging)
    assert figures["residual"] == pytest.approx(0.1, rel=0.1)


def test_the_first_space_of_a_frame_keeps_its_own_axes(trained, frame):
    space = UserSpace.load(trained.settings, trained.live.space_id)
    np.testing.assert_array_equal(frame.encoded_by(trained.settings, space), frame.vectors_AZ)
    np.testing.assert_array_equal(frame.map_of(trained.live.space_id).rotation, np.eye(frame.width))


def test_a_step_is_kept_with_what_was_measured_of_it(frame):
    space_map = SpaceMap(np.eye(frame.width), np.ones(frame.width), np.zeros(frame.width))
    assert frame.figures_of("20260401-0a1b2c3d") is None
    with pytest.raises(MissingArtefact, match="promote it"):
        frame.map_of("20260401-0a1b2c3d")
    frame.keep_step("20260401-0a1b2c3d", space_map, {"residual": 0.05})
    assert frame.figures_of("20260401-0a1b2c3d") == {"residual": 0.05}
    np.testing.assert_array_equal(frame.map_of("20260401-0a1b2c3d").centre_new, 1)


def test_an_erased_user_is_no_anchor_any_more(trained, frame):
    assert forget_anchors(trained.settings, {"u003", "u004", "nobody"}) == 2
    assert forget_anchors(trained.settings, {"u003"}) == 0
    again = Frame.load(trained.settings, frame.frame_id)
    assert "u003" not in again.anchors.user_ids
    kept = [row for row, user in enumerate(frame.anchors.user_ids) if user not in ("u003", "u004")]
    np.testing.assert_array_equal(again.vectors_AZ, frame.vectors_AZ[kept])
    assert "u003" not in again.anchors.events["user_id"].to_pylist()


def test_frames_that_nobody_reads_are_removed_whole(trained, frame):
    assert remove_frames(trained.settings, {frame.frame_id}) == []
    assert remove_frames(trained.settings, set()) == [frame.frame_id]
    assert not list((trained.settings.home / "frames").iterdir())
    with pytest.raises(MissingArtefact, match=frame.frame_id):
        Frame.load(trained.settings, frame.frame_id)


def test_names_of_frames_and_spaces_are_told_apart():
    assert is_frame(frame_of("20260324-0a1b2c3d"))
    assert not is_frame("20260324-0a1b2c3d")
