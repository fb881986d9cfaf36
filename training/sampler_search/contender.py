"""Say what a search for samplers leaves in the running."""

from __future__ import annotations

from dataclasses import dataclass

from training.sampler_search.sampled_ranking import SampledTraining


@dataclass(frozen=True)
class Contender:
    """A mixture of samplers, and a training with it that can go on.

    Attributes:
        weights: By name, in the order of the training's samplers, summing to 1.
        training: Its own; nobody else moves it.
    """

    weights: dict[str, float]
    training: SampledTraining
