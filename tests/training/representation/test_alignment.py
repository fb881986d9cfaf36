import numpy as np
import pytest

from training.representation.alignment import SpaceMap, rotation_onto


def rotated(seed: int = 3, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the same forty users in a space and in a turned and shifted one."""
    generator = np.random.default_rng(seed)
    new = generator.normal(size=(40, 5)).astype(np.float32)
    turn, _ = np.linalg.qr(generator.normal(size=(5, 5)))
    return new, (size * new @ turn + 7).astype(np.float32)


def test_a_turned_space_is_recovered_exactly():
    new, old = rotated()
    found = SpaceMap.learn(new, old)
    np.testing.assert_allclose(found.apply(new), old, atol=1e-4)
    assert found.residual(new, old) < 1e-8


def test_the_map_only_turns_and_never_scales():
    """A factor by least squares would make up for the size here, and shrink what a reader gets at every step."""
    new, old = rotated(size=0.5)
    found = SpaceMap.learn(new, old)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(5), atol=1e-10)
    centred = found.apply(new) - 7
    np.testing.assert_allclose(np.square(centred).sum(), np.square(new).sum(), rtol=0.2)
    assert found.residual(new, old) == pytest.approx(1.0, abs=1e-3), "twice too long in every direction: (2 - 1) ** 2"


def test_a_quarter_turn_is_found_by_hand():
    new = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
    old = np.array([[0, 1], [0, -1], [-1, 0], [1, 0]], np.float32)
    np.testing.assert_allclose(SpaceMap.learn(new, old).rotation, [[0, 1], [-1, 0]], atol=1e-12)


def test_unrelated_spaces_leave_a_large_residual_on_users_who_were_held_out():
    new, old = rotated(3)[0], rotated(4)[0]
    found = SpaceMap.learn(new[:20], old[:20])
    assert found.residual(new[20:], old[20:]) > found.residual(new[:20], old[:20]) > 0.3


def test_a_space_onto_itself_is_left_to_the_bit():
    new, _ = rotated()
    assert SpaceMap.identity(5).apply(new).tobytes() == new.tobytes()


def test_it_survives_the_disk(tmp_path):
    new, old = rotated()
    found = SpaceMap.learn(new, old)
    found.save(tmp_path / "map.npz")
    np.testing.assert_array_equal(SpaceMap.load(tmp_path / "map.npz").apply(new), found.apply(new))


@pytest.mark.parametrize("shape", [(40, 4), (39, 5), (0, 5)])
def test_other_users_or_widths_are_refused(shape):
    new, old = rotated()
    with pytest.raises(ValueError, match="same users and width"):
        SpaceMap.learn(new, old[: shape[0], : shape[1]])


@pytest.mark.parametrize(("heavy", "weight"), [((2, 4), 1.0), ((18, 4), 9.0)])
def test_items_are_turned_about_the_origin_and_by_the_weight_of_each(heavy, weight):
    """Four items say a quarter turn and two say none: the angle's tangent is the ratio of their weights."""
    items = np.eye(2, dtype=np.float32)[[0, 1] * 3]
    turned = np.array([[0, 1], [-1, 0]], np.float32)[[0, 1] * 3]
    found = rotation_onto(items, np.vstack([turned[:4], items[4:]]), np.array([1, 1, 1, 1, weight, weight]))
    none, quarter = np.array(heavy) / np.hypot(*heavy)
    np.testing.assert_allclose(found, [[none, quarter], [-quarter, none]], atol=1e-12)


def test_items_without_vectors_turn_nothing():
    np.testing.assert_array_equal(np.abs(rotation_onto(np.zeros((3, 2)), np.zeros((3, 2)), np.ones(3))), np.eye(2))
