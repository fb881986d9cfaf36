"""Record which samplers a search chose for a consumer, and hand them to whoever trains it from then on.

Shape legend: I items, M samplers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.arrays import Doubles
from training.contracts.artefacts import Artefact
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.data.pair_log import PairLog
from training.samplers.candidates import CANDIDATES, POPULARITY_POWERS, UNIFORM, samplers_of
from training.samplers.negative import NegativeSampler
from training.settings import Settings
from training.storage import write_json


@dataclass(frozen=True, kw_only=True)
class ChosenSampler(Artefact):
    """The samplers of a consumer, and why.

    Attributes:
        consumer: Whose.
        partition: The newest data that the choice rests on; empty for the default.
        weights: By name among `CANDIDATES`, summing to 1.
        evidence: What the search saw: plain JSON values, none of them a time of day or a duration.
    """

    consumer: str
    partition: str
    weights: dict[str, float]
    evidence: dict[str, Any] = field(default_factory=dict)

    def samplers(self, pairs: PairLog) -> list[NegativeSampler]:
        """Return fresh samplers over a training log, in the order of `weights_M`."""
        return samplers_of(pairs, tuple(self.weights))

    @property
    def weights_M(self) -> torch.Tensor:  # noqa: N802 shape
        """float32[M]."""
        return torch.tensor(list(self.weights.values()), dtype=torch.float32)

    def item_shares(self, counts_I: npt.ArrayLike) -> Doubles | None:
        """Return float64[I], how often each item is drawn, for trainings that draw for a whole block of users.

        Args:
            counts_I: How often each item occurs among the training pairs.

        Returns:
            Shares that sum to 1; None where a sampler of the choice reads the model's scores and has no such shares,
            or where no item occurs.
        """
        counts = np.asarray(counts_I, np.float64)
        if not set(self.weights) <= set(POPULARITY_POWERS) or not counts.sum():
            return None
        drawn = {name: _normal(counts**power if power else np.ones(len(counts))) for name, power in _POWERS}
        return np.asarray(sum(weight * drawn[name] for name, weight in self.weights.items()), np.float64)


_POWERS = tuple(POPULARITY_POWERS.items())


def _normal(weights: Doubles) -> Doubles:
    return np.asarray(weights / weights.sum(), np.float64)


def choice_path(settings: Settings, consumer: str, partition: Partition | str) -> Path:
    """Return where the choice of a partition lies."""
    return settings.home / "samplers" / consumer / f"{partition}.json"


def record_choice(settings: Settings, chosen: ChosenSampler) -> Path:
    """Write a choice in one move; the same choice leaves the same bytes.

    Raises:
        AttuneError: It names a sampler that there is not.
    """
    unknown = sorted(set(chosen.weights) - set(CANDIDATES))
    if unknown or not chosen.weights:
        found, known = ", ".join(unknown) or "none", ", ".join(CANDIDATES)
        raise AttuneError(f"expected samplers among {known} for {chosen.consumer}, found {found}; search again")
    path = choice_path(settings, chosen.consumer, chosen.partition)
    write_json(chosen.to_dict(), path)
    return path


def chosen_sampler(settings: Settings, consumer: str, partition: Partition) -> ChosenSampler:
    """Return the newest choice recorded for a consumer up to a partition; uniform where none is recorded.

    Args:
        settings: Home.
        consumer: Name of the consumer.
        partition: The newest data that may be known; later choices do not count.
    """
    folder = choice_path(settings, consumer, partition).parent
    known = sorted(path for path in folder.glob("????-??-??.json") if path.stem <= str(partition))
    if not known:
        return ChosenSampler(consumer=consumer, partition="", weights={UNIFORM: 1.0})
    return ChosenSampler.from_dict(json.loads(known[-1].read_text(encoding="utf-8")))
