import json

import pytest

from tests.training.representation.trained_home import LAST, SMALL, TrainedHome, prepared_home
from training.contracts.errors import MissingArtefact
from training.registry.ledger import Ledger
from training.representation import user_encoder
from training.representation.user_encoder import MODEL_NAME, gate_space, train_space
from training.storage import write_json
from training.tracking.mlflow import aliases

pytestmark = pytest.mark.integration


def evaluation(trained: TrainedHome, space_id: str) -> dict:
    return json.loads((trained.settings.space_dir(space_id) / "evaluation.json").read_text())


def manifest(trained: TrainedHome, space_id: str) -> dict:
    return json.loads((trained.settings.space_dir(space_id) / "manifest.json").read_text())


def test_the_id_names_the_partition_and_the_ledger_knows_it(trained):
    assert trained.candidate.space_id.startswith("20260324-")
    assert trained.candidate.partition == str(LAST)
    assert trained.candidate in Ledger(trained.settings).spaces()


def test_between_two_renewals_the_item_space_stays(trained):
    assert trained.candidate.item_space_id == trained.live.item_space_id


def test_it_learns_from_the_partition_and_a_week_before(trained):
    facts = manifest(trained, trained.candidate.space_id)
    assert facts["training_snapshots"] == [str(LAST), str(LAST.shift(-7))]
    assert len(facts["data_hash"]) == 64


def test_it_starts_from_the_live_encoder(trained):
    first, second = (manifest(trained, ref.space_id) for ref in (trained.live, trained.candidate))
    assert not first["warm_started"]
    assert second["warm_started"]


def test_a_day_trained_again_while_it_is_served_begins_at_the_space_before_it(trained, monkeypatch):
    served = [trained.candidate.space_id, trained.live.space_id]
    monkeypatch.setattr(user_encoder, "published_spaces", lambda settings: served)
    assert train_space(trained.settings, LAST, config=SMALL) == trained.candidate


def test_it_is_judged_on_an_honest_week_and_beside_the_live_space(trained):
    found = evaluation(trained, trained.candidate.space_id)
    assert set(found["seven_day"]["representations"]) == {"z", "mean_of_items", "pca"}
    assert found["seven_day"]["representations"]["z"]["auc"] > 0.6
    assert found["live"]["neighbour_overlap"] > found["live"]["chance_overlap"]
    assert set(found["live"]["seven_day"]["representations"]) == {"challenger", "live"}
    assert "live" not in evaluation(trained, trained.live.space_id)


def test_the_same_inputs_and_seed_give_the_same_space(trained, tmp_path, fresh_mlflow):
    world = prepared_home(tmp_path, fresh_mlflow)
    again = train_space(world.settings, LAST.shift(-1), config=SMALL)
    assert again == trained.live
    assert train_space(world.settings, LAST.shift(-1), config=SMALL) == again
    left, right = (s.space_dir(again.space_id) for s in (world.settings, trained.settings))
    for name in ("encoder.onnx", "inputs.json", "evaluation.json", "curves.png"):
        assert (left / name).read_bytes() == (right / name).read_bytes(), name


def test_an_accepted_candidate_becomes_the_challenger(trained):
    decision = gate_space(trained.settings, LAST, trained.candidate.space_id)
    assert decision.accepted, decision.reasons
    assert (trained.settings.home / decision.report).exists()
    assert aliases(trained.settings, MODEL_NAME)["challenger"] == trained.candidate.space_id


def test_a_refused_candidate_is_a_value_and_stays_out(trained):
    path = trained.settings.space_dir(trained.live.space_id) / "evaluation.json"
    good = json.loads(path.read_text())
    write_json(good | {"vectors": good["vectors"] | {"effective_rank": 0.1}}, path)
    try:
        decision = gate_space(trained.settings, LAST.shift(-1), trained.live.space_id)
    finally:
        write_json(good, path)
    assert not decision.accepted
    assert decision.reasons[0].startswith("effective rank: 0.1")
    assert trained.live in Ledger(trained.settings).spaces("rejected")


def test_a_space_that_was_never_trained_cannot_be_judged(trained):
    with pytest.raises(MissingArtefact, match="run train_space for 2026-03-24"):
        gate_space(trained.settings, LAST, "20200101-00000000")
