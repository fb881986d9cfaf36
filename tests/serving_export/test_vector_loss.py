"""The stated loss is that of the vectors: small for ordinary ones, plain where a type does not suit."""

from __future__ import annotations

import numpy as np

from serving_export.vector_bytes import reduce, restore
from serving_export.vector_loss import measure_losses


def test_ordinary_vectors_lose_little_and_float16_less_than_int8() -> None:
    vectors = np.random.default_rng(1).normal(size=(300, 32)).astype(np.float32)
    losses = measure_losses(vectors)
    assert set(losses) == {"float16", "int8"}
    assert losses["int8"]["num_rows"] == 300
    assert losses["float16"]["relative_error_max"] < 5e-4 < losses["int8"]["relative_error_mean"] < 0.02
    assert losses["float16"]["neighbours_kept@20"] > losses["int8"]["neighbours_kept@20"] > 0.9


def test_the_error_is_that_of_the_rows_themselves() -> None:
    vectors = np.float32([[127, 0.4, 0], [3, 4, 0]])
    [worst] = np.max(np.linalg.norm(restore(*reduce(vectors, "int8")) - vectors, axis=1, keepdims=True), axis=0) / [127]
    found = measure_losses(vectors)["int8"]
    assert found["relative_error_max"] >= round(float(worst), 6) > 0
    assert found["cosine_min"] < 1


def test_a_column_that_dwarfs_the_others_shows() -> None:
    vectors = np.random.default_rng(1).normal(size=(100, 8)).astype(np.float32)
    vectors[:, 0] = 1e6
    assert measure_losses(vectors)["float16"]["relative_error_max"] > 0.9
    vectors[:, 0] = 300
    assert measure_losses(vectors)["int8"]["neighbours_kept@20"] < 0.6


def test_no_vectors_and_empty_vectors_have_no_loss_that_could_be_misread() -> None:
    assert measure_losses(np.zeros((0, 4), np.float32)) == {}
    assert measure_losses(np.zeros((2, 4), np.float32))["int8"]["relative_error_max"] == 0
