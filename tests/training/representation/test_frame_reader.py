import numpy as np
import pytest

from tests.training.representation.trained_home import LAST, TrainedHome
from training.evaluation.light_model import LightModel
from training.representation.alignment import SpaceMap
from training.representation.frame_reader import NO_WEEK, fit_reader, judge_reader, load_reader, save_reader
from training.representation.user_space import UserSpace

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def live(trained: TrainedHome) -> UserSpace:
    return UserSpace.load(trained.settings, trained.live.space_id)


@pytest.fixture(scope="module")
def reader(trained: TrainedHome, live: UserSpace) -> LightModel:
    found = fit_reader(trained.settings, live, LAST)
    assert found is not None
    return found


def test_the_encoder_that_it_was_fitted_on_costs_nothing(trained, live, reader):
    found = judge_reader(trained.settings, reader, live, live, SpaceMap.identity(12))
    for side in ("users", "items"):
        assert found[side]["change"] == 0.0
        assert found[side]["interval"] == [0.0, 0.0]
    assert found["users"]["auc"] > 0.6


def test_a_map_that_turns_the_wrong_way_costs_what_the_reader_knew(trained, live, reader):
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))
    wrong = SpaceMap(turn, np.zeros(12), np.zeros(12))
    found = judge_reader(trained.settings, reader, live, live, wrong)
    assert found["users"]["change"] < -0.02
    assert found["items"]["change"] == 0.0, "items do not hang on the map of users"


def test_it_survives_the_disk(reader, tmp_path):
    assert load_reader(tmp_path) is None
    save_reader(tmp_path, reader)
    again = load_reader(tmp_path)
    assert again is not None
    assert (again.scale, again.penalty) == (reader.scale, reader.penalty)
    for name in ("weight_RV", "item_V", "offset", "centre_R"):
        assert bool((getattr(again, name) == getattr(reader, name)).all())


def test_without_a_week_of_labels_there_is_no_reader(trained, live):
    assert fit_reader(trained.settings, live, LAST.shift(-20)) is None
    assert judge_reader(trained.settings, None, live, live, SpaceMap.identity(12)) == {"evidence": NO_WEEK}
