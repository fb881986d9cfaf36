"""List the samplers that the search chooses among, with the sizes that this project uses."""

from __future__ import annotations

from collections.abc import Callable

import torch

from training.data.pair_log import PairLog
from training.samplers.dynamic import DynamicSampler
from training.samplers.mix_up import MixUpSampler
from training.samplers.negative import NegativeSampler
from training.samplers.seen import Seen
from training.samplers.static import InBatchSampler, PopularitySampler, UniformSampler
from training.samplers.variance_memory import VarianceMemorySampler

UNIFORM = "uniform"
_MAKERS: dict[str, Callable[[Seen, torch.Tensor], NegativeSampler]] = {
    UNIFORM: lambda seen, counts: UniformSampler(seen),
    "popularity^0.5": lambda seen, counts: PopularitySampler(seen, counts, 0.5),
    "popularity^0.75": lambda seen, counts: PopularitySampler(seen, counts, 0.75),
    "popularity^1": lambda seen, counts: PopularitySampler(seen, counts, 1.0),
    "in-batch": InBatchSampler,
    "hardest of 8": lambda seen, counts: DynamicSampler(seen, 8),
    "top 4 of 16": lambda seen, counts: DynamicSampler(seen, 16, 4),
    "mix-up of 8": lambda seen, counts: MixUpSampler(seen, 8),
    "variance memory of 16": lambda seen, counts: VarianceMemorySampler(seen, 16),
}
CANDIDATES = tuple(_MAKERS)
"""Names of every sampler, from easy to hard."""

POPULARITY_POWERS = {UNIFORM: 0.0, "popularity^0.5": 0.5, "popularity^0.75": 0.75, "popularity^1": 1.0, "in-batch": 1.0}
"""The samplers that read no scores, with the power of an item's count that they draw it by."""


def samplers_of(pairs: PairLog, names: tuple[str, ...] = CANDIDATES) -> list[NegativeSampler]:
    """Return fresh samplers, without memory, over the known pairs and counts of a training log.

    Args:
        pairs: Distinct pairs; none of them is drawn as a negative.
        names: Among `CANDIDATES`.

    Raises:
        KeyError: No such sampler.
    """
    seen = Seen(pairs.user_idx, pairs.item_idx, pairs.num_users, pairs.num_items)
    counts_I = torch.from_numpy(pairs.item_counts()).long()
    return [_MAKERS[name](seen, counts_I) for name in names]
