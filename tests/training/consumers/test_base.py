from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from training.consumers.base import (
    ConsumerSides,
    NotApplicable,
    TrainedConsumer,
    champion_folder,
    consumer_named,
    gate_consumer,
    read_ref,
    train_consumer,
)
from training.contracts.artefacts import Check, ModelRef, SpaceRef
from training.contracts.consumers import CONSUMERS
from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch
from training.contracts.partitions import Partition
from training.registry.ledger import Ledger
from training.settings import Settings
from training.tracking.mlflow import aliases, tracking_client

DAY = Partition.parse("2026-11-05")
SPACE = "20261105-0badcafe"
pytestmark = pytest.mark.integration


@dataclass
class _Model:
    space_id: str
    text: str = "weights"

    def save(self, folder: Path) -> None:
        (folder / "weights.txt").write_text(self.text)


@dataclass
class _Consumer:
    """A consumer whose one check passes or not, and which remembers the champion that it was shown."""

    passes: bool = True
    space_id: str = SPACE
    text: str = "weights"
    name: str = "tiny"
    champion: Path | None = None

    def train(self, settings: Settings, partition: Partition, space_id: str, champion: Path | None) -> TrainedConsumer:
        self.champion = champion
        check = Check(name="figure", passed=self.passes, observed="0.3", allowed=">= 0.2")
        return TrainedConsumer(
            model=_Model(self.space_id, self.text), checks=[check], metrics={"ndcg": 0.3}, params={"width": 8}
        )

    def vectors(self, settings: Settings, folder: Path, partition: Partition) -> ConsumerSides:
        raise MissingArtefact(f"expected vectors of a test's model at {folder}, found none")


@pytest.fixture
def settings(tmp_path: Path, fresh_mlflow: Callable[[Settings], Settings]) -> Settings:
    found = fresh_mlflow(Settings.from_env({"ATTUNE_HOME": str(tmp_path)}))
    Ledger(found).record_space(SpaceRef(space_id=SPACE, item_space_id="20261105-11111111", partition=str(DAY)))
    return found


def test_a_model_is_stored_named_by_its_content_and_tracked(settings: Settings) -> None:
    ref = train_consumer(settings, DAY, _Consumer(), SPACE)
    folder = settings.model_dir("tiny", ref.version)
    assert ref.version.startswith("20261105-")
    assert read_ref(folder) == ref
    assert (folder / "weights.txt").read_text() == "weights"
    assert json.loads((folder / "manifest.json").read_text())["params"] == {"width": 8}
    with tracking_client(settings) as client:
        experiment = client.get_experiment_by_name("tiny")
        runs = client.search_runs([experiment.experiment_id])
        (registered,) = client.search_model_versions("name='tiny'")
    assert [run.data.tags["space_id"] for run in runs] == [SPACE]
    assert runs[0].data.metrics["ndcg"] == 0.3
    assert registered.tags == {"space_id": SPACE, "partition": str(DAY), "run_name": ref.version}
    assert (Path(registered.source.removeprefix("file://")) / "weights.txt").read_text() == "weights"


def test_equal_training_gives_the_same_version_and_other_weights_another(settings: Settings) -> None:
    first = train_consumer(settings, DAY, _Consumer(), SPACE)
    assert train_consumer(settings, DAY, _Consumer(), SPACE) == first
    assert train_consumer(settings, DAY, _Consumer(text="other"), SPACE) != first
    assert not list(settings.model_dir("tiny", "x").parent.glob(".*"))


def test_a_recipe_of_another_space_is_refused(settings: Settings) -> None:
    with pytest.raises(SpaceMismatch, match="20261101-ffffffff"):
        train_consumer(settings, DAY, _Consumer(space_id="20261101-ffffffff"), SPACE)
    assert not settings.model_dir("tiny", "x").parent.exists()


@pytest.mark.parametrize(("passes", "state"), [(True, "candidate"), (False, "rejected")])
def test_the_gate_decides_the_state(settings: Settings, passes: bool, state: str) -> None:
    ref = train_consumer(settings, DAY, _Consumer(passes=passes), SPACE)
    assert Ledger(settings).model_state("tiny", ref.version) is None
    decision = gate_consumer(settings, DAY, "tiny", ref.version)
    assert decision.accepted is passes
    assert Ledger(settings).model_state("tiny", ref.version) == state
    assert (settings.home / decision.report).exists()
    assert aliases(settings, "tiny") == ({"challenger": ref.version} if passes else {})
    assert gate_consumer(settings, DAY, "tiny", ref.version) == decision


def test_a_model_of_a_space_that_retired_meanwhile_is_judged(settings: Settings) -> None:
    ref = train_consumer(settings, DAY, _Consumer(), SPACE)
    Ledger(settings).set_space_state(SPACE, "retired")
    assert gate_consumer(settings, DAY, "tiny", ref.version).accepted


def test_a_model_of_a_space_that_is_not_offered_is_refused(settings: Settings) -> None:
    stray = "20261101-ffffffff"
    ref = train_consumer(settings, DAY, _Consumer(space_id=stray), stray)
    with pytest.raises(SpaceMismatch, match=stray):
        gate_consumer(settings, DAY, "tiny", ref.version)


def test_a_missing_model_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(MissingArtefact, match="train_consumer"):
        gate_consumer(settings, DAY, "tiny", "20261105-00000000")


def test_the_champion_is_the_live_model_unless_it_knows_more(settings: Settings) -> None:
    consumer = _Consumer()
    ref = train_consumer(settings, DAY, consumer, SPACE)
    assert consumer.champion is None
    Ledger(settings).record_model(ModelRef(**ref.to_dict()), "live")
    folder = settings.model_dir("tiny", ref.version)
    assert champion_folder(settings, "tiny", DAY) == folder
    assert champion_folder(settings, "tiny", DAY.shift(-1)) is None
    train_consumer(settings, DAY.shift(1), consumer, SPACE)
    assert consumer.champion == folder


@dataclass
class _Idle(_Consumer):
    """A consumer that the log gives nothing to learn from."""

    def train(self, settings: Settings, partition: Partition, space_id: str, champion: Path | None) -> NotApplicable:
        return NotApplicable("no user has an attribute")


def test_nothing_to_learn_is_kept_in_a_models_place_and_judged_as_such(settings: Settings) -> None:
    ref = train_consumer(settings, DAY, _Idle(), SPACE)
    assert train_consumer(settings, DAY, _Idle(), SPACE) == ref
    assert read_ref(settings.model_dir("tiny", ref.version)) == ref
    decision = gate_consumer(settings, DAY, "tiny", ref.version)
    assert decision.account == "not applicable: no user has an attribute"
    assert "no user has an attribute" in (settings.home / decision.report).read_text()
    ledger = Ledger(settings)
    assert ledger.model_state("tiny", ref.version) == "not_applicable"
    assert ledger.is_not_applicable("tiny", SPACE)
    assert ledger.newest_model("tiny", SPACE) is None
    assert aliases(settings, "tiny") == {}
    newer = train_consumer(settings, DAY, _Consumer(), SPACE)
    gate_consumer(settings, DAY, "tiny", newer.version)
    assert not ledger.is_not_applicable("tiny", SPACE)
    assert ledger.newest_model("tiny", SPACE) == newer


def test_the_same_reason_on_another_space_has_its_own_version(settings: Settings) -> None:
    other = "20261105-ffffffff"
    assert (
        train_consumer(settings, DAY, _Idle(), SPACE).version != train_consumer(settings, DAY, _Idle(), other).version
    )


@pytest.mark.parametrize("name", CONSUMERS)
def test_every_consumer_is_found_by_its_name(name: str) -> None:
    assert consumer_named(name).name == name


def test_an_unknown_consumer_is_told_which_there_are() -> None:
    with pytest.raises(AttuneError, match=r"expected a consumer among matching.*found 'ranking'"):
        consumer_named("ranking")
