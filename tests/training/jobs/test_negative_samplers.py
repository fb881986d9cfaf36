"""The job: one consumer or all of them, each recorded."""

import json

import numpy as np
import pytest

from tests.training.representation.feature_home import FeatureHome
from training.contracts.consumers import CONSUMERS
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.jobs import run
from training.settings import Settings

DAY = Partition.parse("2026-01-02")


@pytest.fixture
def settings(tmp_path):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path)})
    home = FeatureHome(settings)
    for user, item in np.ndindex(4, 5):
        home.add(f"u{user}", f"i{item}", DAY.starts_at)
    home.write_interactions(DAY, DAY)
    return settings


def test_every_required_consumer_gets_a_choice(settings):
    found = run("search_negative_samplers", str(DAY), settings=settings)
    assert found == {"partition": "2026-01-02", "weights": {name: {"uniform": 1.0} for name in CONSUMERS}}
    for consumer in CONSUMERS:
        recorded = json.loads((settings.home / "samplers" / consumer / "2026-01-02.json").read_text())
        assert recorded["weights"] == {"uniform": 1.0}
        assert "too few" in recorded["evidence"]["reason"]


def test_one_consumer_alone(settings):
    run("search_negative_samplers", str(DAY), settings=settings, consumer="matching")
    assert [path.name for path in (settings.home / "samplers").iterdir()] == ["matching"]


def test_an_unknown_consumer_is_refused(settings):
    with pytest.raises(AttuneError, match="found 'nobody'"):
        run("search_negative_samplers", str(DAY), settings=settings, consumer="nobody")
