from __future__ import annotations

import numpy as np
import pytest

from training.ranking import space_directions
from training.ranking.calibration import Calibration
from training.ranking.space_directions import blend, fit_z_map, z_directions


def test_the_map_recovers_a_linear_relation() -> None:
    rng = np.random.default_rng(0)
    z, matrix = rng.normal(size=(200, 5)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    directions = z @ matrix
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    predicted = z_directions(z, fit_z_map(z, directions, strength=1e-3))
    assert np.mean(np.sum(predicted * directions, axis=1)) > 0.95


def test_the_map_is_that_of_everybody_together_whose_history_and_vector_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    z, directions = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=(50, 3)).astype(np.float32)
    z[::7], directions[3::5] = 0, 0
    known = z.any(axis=1) & directions.any(axis=1)
    whole = fit_z_map(z, directions)
    gram = z[known].T.astype(np.float64) @ z[known]
    ridged = gram + np.eye(4) * np.trace(gram) / 4 / 100
    np.testing.assert_allclose(whole, np.linalg.solve(ridged, z[known].T @ directions[known]), rtol=1e-4)
    monkeypatch.setattr(space_directions, "_ROWS_AT_ONCE", 8)
    np.testing.assert_allclose(fit_z_map(z, directions), whole, rtol=1e-5)


def test_no_vectors_give_an_empty_map() -> None:
    assert not fit_z_map(np.zeros((4, 3), np.float32), np.ones((4, 2), np.float32)).any()
    assert not z_directions(np.zeros((4, 3), np.float32), np.zeros((3, 2), np.float32)).any()


def test_history_leads_and_z_fills_in() -> None:
    history = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
    from_z = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    assert blend(history, from_z, Calibration()).tolist() == [[1, 0], [0, 1]]
    mixed = blend(history, from_z, Calibration(z_share=1.0))
    np.testing.assert_allclose(mixed[0], [0.5**0.5, 0.5**0.5], rtol=1e-6)
