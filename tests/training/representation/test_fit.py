from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.training.representation.test_inputs import rows
from tests.training.representation.trained_home import SMALL
from training.contracts.partitions import Partition
from training.representation import fit as user_encoder_fit
from training.representation.fit import fit_encoder, hash_rows, held_out_users, version_name


@pytest.fixture(scope="module")
def fitted():
    return fit_encoder(rows(), SMALL, seed=1)


def test_rows_become_vectors(fitted):
    assert fitted.encode(rows()).shape == (40, 12)


def test_users_encoded_in_blocks_get_the_same_vectors(fitted, monkeypatch):
    whole = fitted.encode(rows())
    monkeypatch.setattr(user_encoder_fit, "ROWS_AT_ONCE", 16)
    np.testing.assert_allclose(fitted.encode(rows()), whole, rtol=1e-5, atol=1e-6)


def test_blocks_are_measured_beside_their_mean(fitted):
    assert set(fitted.reconstruction) == set(fitted.mean_prediction)
    assert fitted.mean_prediction["taste_content_all"] == pytest.approx(1, abs=0.8), "of the few users held out"
    assert fitted.mean_prediction["country"] == pytest.approx(np.log(2), abs=0.3)


def test_everything_that_decides_a_vector_is_in_the_name(fitted):
    same = fit_encoder(rows(), SMALL, seed=1)
    assert same.content_hash("items", SMALL) == fitted.content_hash("items", SMALL)
    assert same.content_hash("other items", SMALL) != fitted.content_hash("items", SMALL)
    assert same.content_hash("items", replace(SMALL, horizon_days=5)) != fitted.content_hash("items", SMALL)
    other = fit_encoder(rows(), SMALL, seed=2)
    assert other.content_hash("items", SMALL) != fitted.content_hash("items", SMALL)


def test_the_data_hash_sees_every_value(fitted):
    x, _ = fitted.assembler.transform(rows())
    assert hash_rows(rows()["user_id"], x) == fitted.data_hash
    x[3, 2] += 1
    assert hash_rows(rows()["user_id"], x) != fitted.data_hash


def test_all_rows_of_a_user_are_on_one_side_of_the_cut():
    """A held-out user's older snapshot would otherwise give the newer one away."""
    users = rows()["user_id"]
    held_out = held_out_users(pd.concat([users, users]), 0.25, seed=1)
    assert 0 < held_out.sum() < 40
    np.testing.assert_array_equal(held_out[:40], held_out[40:])


def test_a_warm_start_is_not_judged_on_users_whom_yesterday_was_trained_on():
    """Users come every day: a draw by place among them would change for everybody."""
    yesterday = pd.Series([f"u{n:04}" for n in range(500)])
    today = pd.Series(sorted([f"a{n:04}" for n in range(60)] + list(yesterday)))
    trained_on = set(yesterday[~held_out_users(yesterday, 0.1, seed=17)])
    judged = set(today[held_out_users(today, 0.1, seed=17)])
    assert 25 < len(judged) < 90
    assert not judged & trained_on


def test_a_name_is_the_day_and_the_hash():
    assert version_name(Partition.parse("2026-03-24"), "0a1b2c3d") == "20260324-0a1b2c3d"
