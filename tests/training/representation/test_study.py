import json

import numpy as np
import pytest

from tests.training.representation.test_inputs import rows
from tests.training.representation.trained_home import LAST, SMALL, add_late_event, copied_home
from training.contracts.errors import MissingArtefact
from training.representation import study as user_encoder_study
from training.representation.study import (
    ablations,
    study_space,
    without_behaviour,
    without_item_vectors,
    without_onboarding,
)


def test_first_hours_are_picks_and_profile_alone():
    hidden = without_behaviour(rows())
    assert not np.stack(hidden["taste_content_all"]).any()
    assert not hidden[["count_taste_7d", "count_view_30d", "share_night_180d", "tenure_days"]].to_numpy().any()
    assert hidden["count_onboarding"].tolist() == rows()["count_onboarding"].tolist()
    assert hidden["country"].tolist() == rows()["country"].tolist()


def test_without_onboarding_nothing_else_changes():
    skipped = without_onboarding(rows())
    assert not np.stack(skipped["onboarding_content"]).any()
    assert not skipped["count_onboarding"].any()
    np.testing.assert_array_equal(np.stack(skipped["taste_content_7d"]), np.stack(rows()["taste_content_7d"]))


def test_without_item_vectors_counts_stay():
    counted = without_item_vectors(rows())
    assert not np.stack(counted["taste_collaborative_30d"]).any()
    assert counted["count_taste_30d"].tolist() == rows()["count_taste_30d"].tolist()


def test_each_ablation_is_an_encoder_of_its_own():
    found = ablations(rows(), SMALL, seed=1)
    assert set(found) == {"z without onboarding", "z without item vectors", "z without static"}
    assert all(z.shape == (40, 12) for z in found.values())
    assert not np.array_equal(found["z without onboarding"], found["z without static"])


@pytest.mark.integration
def test_the_study_answers_every_question(trained):
    report = study_space(trained.settings, LAST, SMALL)
    assert {"z", "mean_of_items", "pca", "nmf", "als", "z without onboarding"} <= set(
        report["seven_day"]["representations"]
    )
    assert set(report["neighbours"]) == {"same favourite category", "same country", "same onboarding"}
    assert report["neighbours"]["same country"]["representations"]["z"]["ndcg"] > 0.5
    assert report["first_hours"] == {"evidence": "not enough evidence: n=0 new users"}
    assert report["staleness"]["auc"]["new vectors, mapped"] > report["staleness"]["auc"]["new vectors, no map"]
    stored = trained.settings.reports_dir / "representation" / f"{LAST}.json"
    assert json.loads(stored.read_text())["cost"]["consumers"].keys() == {"z", "raw_input"}


@pytest.mark.integration
def test_what_arrived_late_is_neither_known_at_the_anchor_nor_of_the_week_after(trained, tmp_path, monkeypatch):
    """An event from before the anchor that arrives after it moves nothing of what the first hours are judged by."""
    found = []
    monkeypatch.setattr(user_encoder_study, "compare_first_hours", lambda task, *rest: found.append(task) or {})
    monkeypatch.setattr(user_encoder_study, "compare_neighbours", lambda *rest: {})
    monkeypatch.setattr(user_encoder_study, "ablations", lambda *rest: {})
    monkeypatch.setattr(user_encoder_study, "_staleness", lambda *rest: {})
    settings = copied_home(trained, tmp_path)
    study_space(settings, LAST, SMALL)
    add_late_event(settings, "u001", "i39")
    study_space(settings, LAST, SMALL)
    before, after = found
    assert before.popularity_I.sum() > 0
    np.testing.assert_array_equal(after.popularity_I, before.popularity_I)
    for side in ("old", "new"):
        for column in ("user_idx", "item_idx", "label"):
            np.testing.assert_array_equal(getattr(getattr(after, side), column), getattr(getattr(before, side), column))


@pytest.mark.integration
def test_there_must_be_a_week_before(trained):
    with pytest.raises(MissingArtefact, match="study a later partition"):
        study_space(trained.settings, LAST.shift(-20), SMALL)
