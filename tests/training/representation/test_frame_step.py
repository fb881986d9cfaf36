from dataclasses import replace

import numpy as np
import pytest

from tests.training.representation.trained_home import LAST, TrainedHome
from training.contracts.frames import frame_of
from training.registry.ledger import Ledger
from training.representation import frame_step as recipe
from training.representation.frame import Frame, remove_frames
from training.representation.frame_step import begin_frame, bring_into_frame, checks_of, framed_space
from training.representation.user_space import UserSpace, ensure_embeddings, read_embeddings

FIGURES = {
    "residual": 0.07,
    "num_judging": 1000,
    "reader": {
        "users": {"auc": 0.749, "auc_first": 0.75, "change": -0.0013, "interval": [-0.003, 0.001]},
        "items": {"auc": 0.76, "auc_first": 0.75, "change": 0.0133, "interval": [0.008, 0.02]},
    },
}


@pytest.fixture
def begun(trained: TrainedHome) -> Frame:
    remove_frames(trained.settings, ())
    return Frame.load(trained.settings, begin_frame(trained.settings, trained.live.space_id, LAST))


def verdicts(settings, figures) -> dict[str, str]:
    return {check.name: check.outcome for check in checks_of(settings, figures)}


def with_users(change: float, low: float, high: float) -> dict:
    users = {"auc": 0.7, "auc_first": 0.75, "change": change, "interval": [low, high]}
    return FIGURES | {"reader": FIGURES["reader"] | {"users": users}}


def test_an_ordinary_day_passes(trained):
    assert set(verdicts(trained.settings, FIGURES).values()) == {"passed"}


def test_a_residual_above_the_limit_is_refused(trained):
    assert verdicts(trained.settings, FIGURES | {"residual": 0.1201})["held-out residual"] == "failed"
    assert (
        verdicts(replace(trained.settings, frame_max_residual=0.2), FIGURES | {"residual": 0.13})["held-out residual"]
        == "passed"
    )


def test_a_reader_that_loses_more_than_the_limit_is_the_canary(trained):
    name = "first-day reader, framed users"
    assert verdicts(trained.settings, with_users(-0.0051, -0.008, -0.002))[name] == "failed"
    assert verdicts(trained.settings, with_users(-0.0049, -0.008, -0.002))[name] == "passed"
    assert verdicts(trained.settings, with_users(-0.03, -0.09, 0.01))[name] == "passed", "a week of few labels swings"
    items = {"reader": FIGURES["reader"] | {"items": with_users(-0.17, -0.2, -0.1)["reader"]["users"]}}
    assert verdicts(trained.settings, FIGURES | items)["first-day reader, framed items"] == "failed"


def test_what_could_not_be_measured_is_said_and_blocks_nothing(trained):
    found = verdicts(trained.settings, FIGURES | {"reader": {"evidence": "not enough evidence: n=3 positives"}})
    assert found["first-day reader, framed users"] == "not measured"


@pytest.mark.integration
def test_the_first_space_is_its_own_frame(trained, begun):
    assert begun.frame_id == frame_of(trained.live.space_id)
    assert begun.anchors.partition == LAST
    assert begin_frame(trained.settings, trained.live.space_id, LAST.shift(-1)) == begun.frame_id
    assert Frame.load(trained.settings, begun.frame_id).anchors.partition == LAST, "what has begun stays as it began"
    assert bring_into_frame(trained.settings, begun.frame_id, trained.live.space_id).accepted
    turned = framed_space(trained.settings, begun.frame_id, trained.live.space_id, LAST)
    ensure_embeddings(trained.settings, trained.live.space_id, LAST)
    _, z_UZ = read_embeddings(trained.settings, trained.live.space_id, LAST)
    np.testing.assert_array_equal(turned.space_map.apply(z_UZ), z_UZ)
    assert turned.item_ids == tuple(sorted(turned.item_ids))
    assert turned.item_vectors.shape == (len(turned.item_ids), 16)


@pytest.mark.integration
def test_a_later_space_is_measured_once_and_its_decision_recorded(trained, begun, monkeypatch):
    decision = bring_into_frame(trained.settings, begun.frame_id, trained.candidate.space_id)
    figures = Frame.load(trained.settings, begun.frame_id).figures_of(trained.candidate.space_id)
    assert figures["num_learning"] + figures["num_judging"] == 60
    assert 0 < figures["residual"] < 1
    assert decision.subject == f"frame {trained.candidate.space_id} in {begun.frame_id}"
    assert decision in Ledger(trained.settings).gates()
    assert {check.name: check.outcome for check in decision.checks}["first-day reader, framed users"] == "passed"
    monkeypatch.setattr(recipe, "_learn", None)
    assert bring_into_frame(trained.settings, begun.frame_id, trained.candidate.space_id) == decision
    strict = replace(trained.settings, frame_max_residual=figures["residual"] / 2)
    assert not bring_into_frame(strict, begun.frame_id, trained.candidate.space_id).accepted


@pytest.mark.integration
def test_a_space_whose_vectors_say_something_else_is_refused(trained, begun, monkeypatch):
    """Every user with another's vector: no rotation explains it, and the reader hears nonsense."""
    plain = UserSpace.encode

    def shuffled(self, frame):
        vectors = plain(self, frame)
        mixed = self.ref.space_id == trained.candidate.space_id
        return np.random.default_rng(0).permutation(vectors) if mixed else vectors

    monkeypatch.setattr(UserSpace, "encode", shuffled)
    decision = bring_into_frame(trained.settings, begun.frame_id, trained.candidate.space_id)
    assert not decision.accepted
    assert "held-out residual" in " ".join(decision.reasons)


@pytest.mark.integration
def test_too_few_anchors_teach_no_map(trained, begun):
    from training.representation.frame import forget_anchors

    forget_anchors(trained.settings, set(begun.anchors.user_ids[:45]))
    decision = bring_into_frame(trained.settings, begun.frame_id, trained.candidate.space_id)
    assert "anchors to learn 12 columns from" in decision.account
    remove_frames(trained.settings, ())
