import numpy as np
import pytest

from training.representation.alignment import SpaceMap


def rotated(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the same forty users in a space and in a turned, stretched and shifted one."""
    generator = np.random.default_rng(seed)
    new = generator.normal(size=(40, 5)).astype(np.float32)
    turn, _ = np.linalg.qr(generator.normal(size=(5, 5)))
    return new, (2.5 * new @ turn + 7).astype(np.float32)


def test_a_turned_space_is_recovered_exactly():
    new, old = rotated()
    found = SpaceMap.learn(new, old)
    np.testing.assert_allclose(found.apply(new), old, atol=1e-4)
    assert found.residual < 1e-8
    assert found.scale == pytest.approx(2.5, rel=1e-4)


def test_the_map_only_turns():
    new, old = rotated()
    turn = SpaceMap.learn(new, old + np.random.default_rng(1).normal(size=old.shape).astype(np.float32)).rotation
    np.testing.assert_allclose(turn @ turn.T, np.eye(5), atol=1e-10)


def test_unrelated_spaces_leave_a_large_residual():
    new, _ = rotated(3)
    assert SpaceMap.learn(new, rotated(4)[0]).residual > 0.5


def test_it_survives_the_disk(tmp_path):
    new, old = rotated()
    found = SpaceMap.learn(new, old)
    found.save(tmp_path / "procrustes.npz")
    np.testing.assert_array_equal(SpaceMap.load(tmp_path / "procrustes.npz").apply(new), found.apply(new))


@pytest.mark.parametrize("shape", [(40, 4), (39, 5), (0, 5)])
def test_other_users_or_widths_are_refused(shape):
    new, old = rotated()
    with pytest.raises(ValueError, match="same users and width"):
        SpaceMap.learn(new, old[: shape[0], : shape[1]])
