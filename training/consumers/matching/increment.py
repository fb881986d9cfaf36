"""Continue the matching model in service by one pass over what is new, and judge the pass before it is taken.

Judging needs rows that neither the model in service nor the pass has seen: a first pass stops halfway through the new
rows, and both are ranked on the other half.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.consumers.matching.model import MatchingModel
from training.consumers.matching.search import MatchingConfig, TrainedMatching, train_matching
from training.ranking.cut import Cut
from training.ranking.dataset import RankingDataset
from training.ranking.evidence import CHAMPION, Evidence, popularity_vectors
from training.reproducible import deterministic

JUDGED_SHARE = 0.5
"""Share of the new rows, the newest, that the pass is judged on."""


def continue_and_judge(
    data: RankingDataset, config: MatchingConfig, champion: MatchingModel, since: int
) -> TrainedMatching:
    """Return the champion after one pass over what arrived since, and how half of that pass fared on the rest.

    Args:
        data: Everything up to the partition, with vectors of the champion's space.
        config: How to learn; width and calibration are the champion's.
        champion: The model in service.
        since: Epoch seconds, the champion's `as_of`.

    Raises:
        SpaceMismatch: The champion is of another space, which takes a full pass.
    """
    with deterministic(config.seed):
        return _continue_and_judge(data, config, champion, since)


def _continue_and_judge(
    data: RankingDataset, config: MatchingConfig, champion: MatchingModel, since: int
) -> TrainedMatching:
    model = train_matching(data, config, champion, since)
    vectors = model.user_vectors(data), model.item_vectors()
    evidence = Evidence(finite=all(bool(np.isfinite(side).all()) for side in vectors))
    cut = halfway(data, since)
    if len(cut.later):
        known = data_before(data, cut.known.as_of)
        halfway_model = train_matching(known, config, champion, since)
        for name, judged in (("own", halfway_model), (CHAMPION, champion)):
            evidence.judge(name, cut, judged.user_vectors(known), judged.item_vectors(known))
        evidence.judge("popularity and activity", cut, *popularity_vectors(cut.known))
    return TrainedMatching(model=model, evidence=evidence, curves={})


def halfway(data: RankingDataset, since: int) -> Cut:
    """Return the cut that leaves the newest half of the rows since an instant to judge on.

    They are counted, and judged, by when they occurred: a late row may be older than what the champion has learned.
    """
    pairs = data.pairs()
    num_new = len(pairs.since(since))
    return Cut.at(pairs, 1 - JUDGED_SHARE * num_new / max(len(pairs), 1))


def data_before(data: RankingDataset, second: int) -> RankingDataset:
    """Return what was known at an instant; user vectors are the earlier ones, zeros where those are later than it."""
    num = int(np.searchsorted(data.occurred_at, second))
    is_known = data.earlier is not None and data.earlier.as_of <= second
    z_UZ = data.earlier.z_UZ if is_known and data.earlier is not None else np.zeros_like(data.z_UZ)
    return replace(
        data,
        user_idx=data.user_idx[:num],
        item_idx=data.item_idx[:num],
        occurred_at=data.occurred_at[:num],
        arrived_at=None if data.arrived_at is None else data.arrived_at[:num],
        z_UZ=z_UZ,
        as_of=second,
        earlier=None,
    )
