"""Name the variants of the multi-interest study: the full model, and what differs from it in one thing each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from training.consumers.multi_interest.train import MultiInterestTrainingConfig

FULL = "K = 4, max for all, repel, features, towers"
REFERENCE = MultiInterestTrainingConfig(epoch_users=4096)
"""The consumer's configuration, in shorter epochs where users are many: all variants train alike."""


def _towers(**changes: Any) -> MultiInterestTrainingConfig:
    return replace(REFERENCE, towers=replace(REFERENCE.towers, **changes))


VARIANTS: Mapping[str, MultiInterestTrainingConfig] = {
    FULL: REFERENCE,
    "read-out of the positive": replace(REFERENCE, read_out="positive"),
    "no repulsion": replace(REFERENCE, repel_weight=0.0),
    "K = 1": _towers(num_interests=1),
    "K = 2": _towers(num_interests=2),
    "K = 8": _towers(num_interests=8),
    "id alone": _towers(item_features=False),
    "shared trunk": _towers(shared_trunk=True),
    "gaussian repulsion": replace(REFERENCE, repel_form="gaussian", repel_weight=0.05),
}
"""In the order of the table."""
