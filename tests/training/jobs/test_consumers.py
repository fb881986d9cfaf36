from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from training.consumers.matching.consumer import MatchingConsumer
from training.contracts.artefacts import ModelRef, SpaceRef
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.jobs import find, run
from training.jobs.consumers import candidate_space, newest_version, recipe_of, train_consumer
from training.registry.ledger import Ledger
from training.settings import Settings
from training.storage import write_json

DAY = Partition.parse("2026-11-05")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path)})


def test_both_jobs_are_on_the_table() -> None:
    assert find("train_consumer").__module__ == find("gate_consumer").__module__ == "training.jobs.consumers"


def test_the_candidate_of_the_partition_is_the_default(settings: Settings) -> None:
    with pytest.raises(AttuneError, match=r"train_candidate for 2026-11-05"):
        candidate_space(settings, DAY)
    ref = SpaceRef(space_id="20261105-0badcafe", item_space_id="20261105-11111111", partition=str(DAY))
    Ledger(settings).record_space(ref)
    assert candidate_space(settings, DAY) == ref.space_id
    with pytest.raises(AttuneError, match="2026-11-06"):
        candidate_space(settings, DAY.shift(1))


def test_the_newest_model_of_a_partition_is_the_default(settings: Settings) -> None:
    with pytest.raises(AttuneError, match="run train_consumer"):
        newest_version(settings, DAY, "matching")
    for version in ("20261104-cccccccc", "20261105-bbbbbbbb", "20261105-aaaaaaaa"):
        write_json({}, settings.model_dir("matching", version) / "manifest.json")
    assert newest_version(settings, DAY, "matching") == "20261105-aaaaaaaa"
    (settings.model_dir("matching", "20261105-dddddddd")).mkdir()
    assert newest_version(settings, DAY, "matching") == "20261105-aaaaaaaa"


def test_objective_and_loss_reach_the_recipe() -> None:
    plain = recipe_of("matching", None, None)
    assert isinstance(plain, MatchingConsumer)
    chosen = recipe_of("matching", "pairs", "sim_clr")
    assert isinstance(chosen, MatchingConsumer)
    training = chosen.config.training
    assert (training.objective, training.pairs_loss) == ("pairs", "sim_clr")
    assert plain.config.training.objective == "catalogue"
    assert "objective" in inspect.signature(train_consumer).parameters


def test_an_unknown_objective_or_loss_is_named() -> None:
    with pytest.raises(AttuneError, match="found 'triples'"):
        recipe_of("matching", "triples", None)
    with pytest.raises(AttuneError, match="found 'hinge'"):
        recipe_of("matching", "pairs", "hinge")
    with pytest.raises(AttuneError, match="leave it out"):
        recipe_of("matching", "catalogue", "sim_clr")


@pytest.mark.parametrize(("consumer", "goes_on"), [("cold_start", True), ("matching", False)])
def test_the_cascade_goes_on_without_a_consumer_that_may_be_absent(
    settings: Settings, consumer: str, goes_on: bool
) -> None:
    space = SpaceRef(space_id="20261105-0badcafe", item_space_id="20261105-11111111", partition=str(DAY))
    Ledger(settings).record_space(space)
    ref = ModelRef(consumer=consumer, version="20261105-aaaaaaaa", space_id=space.space_id, partition=str(DAY))
    folder = settings.model_dir(consumer, ref.version)
    write_json(ref.to_dict(), folder / "manifest.json")
    write_json({"not_applicable": "no user has an attribute"}, folder / "evaluation.json")
    decided = run("gate_consumer", str(DAY), settings=settings, consumer=consumer)
    assert (decided["accepted"], decided["go_on"]) == (False, goes_on)
    assert decided["not_applicable"] == "no user has an attribute"
