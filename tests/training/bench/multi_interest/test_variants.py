from __future__ import annotations

from dataclasses import replace

from training.bench.multi_interest.variants import FULL, REFERENCE, VARIANTS
from training.consumers.multi_interest.train import MultiInterestTrainingConfig


def test_each_variant_differs_from_the_full_model_in_one_thing() -> None:
    assert VARIANTS[FULL] == REFERENCE
    assert REFERENCE.read_out == "max" and REFERENCE.repel_weight > 0  # noqa: PT018
    assert REFERENCE.towers.num_interests == 4
    for name, config in VARIANTS.items():
        if name == FULL:
            continue
        changed = {f for f in vars(config) if getattr(config, f) != getattr(REFERENCE, f)}
        inner = {f for f in vars(config.towers) if getattr(config.towers, f) != getattr(REFERENCE.towers, f)}
        form = {"repel_form", "repel_weight"}
        assert len(changed - {"towers"}) + len(inner) == 1 or changed == form, name


def test_the_study_trains_the_consumers_model() -> None:
    """All but the length of an epoch is the default: what is measured is what is served."""
    assert replace(REFERENCE, epoch_users=MultiInterestTrainingConfig().epoch_users) == MultiInterestTrainingConfig()
