import json

import pytest

from tests.training.representation.trained_home import LAST
from training.contracts.errors import AttuneError
from training.jobs import run
from training.settings import Settings

pytestmark = pytest.mark.integration


def test_before_the_first_space_nothing_is_pooled(tmp_path):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    assert run("pool_taste", str(LAST), settings=settings) == {"partition": str(LAST), "pooled": {}}


def test_taste_is_pooled_in_every_item_space_in_use(trained):
    found = run("pool_taste", str(LAST), settings=trained.settings)
    assert found["pooled"][trained.candidate.item_space_id] == 64


def test_taste_may_be_pooled_in_one(trained):
    item_space_id = trained.candidate.item_space_id
    found = run("pool_taste", str(LAST), settings=trained.settings, item_space_id=item_space_id)
    assert found["pooled"] == {item_space_id: 64}


def test_users_are_encoded_by_name_of_the_space(trained):
    found = run("encode_partition", str(LAST), settings=trained.settings, space_id=trained.candidate.space_id)
    assert (found["num_users"], found["width"]) == (64, 12)


def test_a_gate_is_a_value_of_plain_json(trained):
    found = run("gate_space", str(LAST), settings=trained.settings, space_id=trained.candidate.space_id)
    assert json.loads(json.dumps(found))["accepted"] is True
    assert found["checks"]


def test_training_without_features_says_what_to_run(tmp_path):
    with pytest.raises(AttuneError, match="expected"):
        run("train_space", str(LAST), settings=Settings.from_env({"ATTUNE_HOME": str(tmp_path)}))
