from __future__ import annotations

from training.losses.family import PAIR_LOSSES
from training.losses.nce import LOSSES
from training.losses.sampled import NEGATIVE_KINDS


def test_the_family_holds_every_switch_setting_and_every_way_to_draw_negatives() -> None:
    assert [loss.switches for loss in PAIR_LOSSES.values() if loss.switches] == list(LOSSES.values())
    assert {loss.negatives for loss in PAIR_LOSSES.values() if loss.negatives} == set(NEGATIVE_KINDS)
    assert [name for name, loss in PAIR_LOSSES.items() if not loss.switches and not loss.negatives] == [
        "sampled_softmax"
    ]


def test_a_corrected_side_holds_its_marginal_and_an_uncorrected_one_does_not() -> None:
    for loss in PAIR_LOSSES.values():
        if loss.switches is not None:
            assert loss.holds_items == bool(loss.switches.alpha * loss.switches.delta_items)
            assert loss.holds_users == bool(loss.switches.beta * loss.switches.delta_users)


def test_drawing_uniformly_on_a_side_holds_that_side_s_marginal() -> None:
    held = {loss.negatives: (loss.holds_items, loss.holds_users) for loss in PAIR_LOSSES.values() if loss.negatives}
    assert held == {
        "keep_user": (True, False),
        "keep_item": (False, True),
        "uniform": (True, True),
        "shuffled": (False, False),
    }
