import numpy as np
import pytest

from tests.training.representation.test_inputs import rows
from tests.training.representation.trained_home import LAST, SMALL, copied_home
from training.representation import evaluate
from training.representation.evaluate import (
    compare_with_live,
    describe_vectors,
    evaluate_holdout,
    mean_of_items,
    principal_components,
    representations,
)
from training.representation.fit import fit_encoder
from training.representation.item_space import learn_item_space


def test_mean_of_items_is_both_modalities_over_all_time():
    frame = rows(3)
    expected = np.hstack([np.stack(frame["taste_collaborative_all"]), np.stack(frame["taste_content_all"])])
    np.testing.assert_array_equal(mean_of_items(frame), expected)


def test_principal_components_keep_the_distances_that_fit():
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    whole = principal_components(x, 6)
    assert whole.shape == (30, 6)
    assert not whole[:, 4:].any()
    np.testing.assert_allclose(np.linalg.norm(whole[0] - whole[1]), np.linalg.norm(x[0] - x[1]), rtol=1e-5)
    assert np.all(np.diff(principal_components(x, 3).std(axis=0)) <= 0)


def test_every_representation_has_a_row_per_user():
    table = representations(rows(), fit_encoder(rows(), SMALL, seed=1))
    assert {name: len(values) for name, values in table.items()} == {"z": 40, "mean_of_items": 40, "pca": 40}
    assert table["pca"].shape == table["z"].shape


def test_vectors_are_described():
    z = np.eye(4, dtype=np.float32)
    found = describe_vectors(z)
    assert (found["num_users"], found["width"], found["finite"]) == (4, 4, True)
    assert found["norm"]["mean"] == 1.0
    z[0, 0] = np.nan
    assert not describe_vectors(z)["finite"]


def test_drift_from_itself_is_none():
    z = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    found = compare_with_live(z, z, seed=1)
    assert found == {"neighbour_overlap": 1.0, "chance_overlap": round(20 / 59, 4), "norm_ratio": 1.0}
    assert compare_with_live(2 * z, z, seed=1)["norm_ratio"] == 2.0


def test_without_an_earlier_week_it_says_so(tmp_path):
    from training.settings import Settings

    found = evaluate_holdout(Settings.from_env({"ATTUNE_HOME": str(tmp_path)}), None, LAST, SMALL)
    assert found["evidence"].startswith("not enough evidence")


@pytest.mark.integration
def test_the_holdout_knows_nothing_after_the_anchor(trained):
    """Its item space, scalers and features are the anchor's; only the labels are of the week after."""
    found = evaluate_holdout(trained.settings, LAST.shift(-7), LAST, SMALL)
    spaces = sorted(path.name for path in (trained.settings.home / "item_spaces").glob("*"))
    assert any(name.startswith("20260317-") for name in spaces)
    assert found["representations"]["mean_of_items"]["auc"] > 0.6


@pytest.mark.integration
def test_the_holdout_reads_the_item_vectors_that_a_retrain_of_its_day_reads(trained, tmp_path, monkeypatch):
    settings = copied_home(trained, tmp_path)
    known = learn_item_space(settings, LAST.shift(-8), SMALL.item_space)
    monkeypatch.setattr(evaluate, "learn_item_space", None)
    found = evaluate_holdout(settings, LAST.shift(-7), LAST, SMALL)
    assert found["representations"]["mean_of_items"]["auc"] > 0.6
    assert (settings.features_dir("user_taste", LAST.shift(-7), known.item_space_id)).exists()
