"""Score sampled ranking models on held-out pairs: by full ranking, and by a loss with a fixed negative distribution.

Shape legend: U users, I items, B held-out pairs of a batch, N negatives, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from training.data.pair_log import PairLog
from training.evaluation.metrics import RankingScores, VectorScorer, evaluate
from training.losses.sampled import sampled_softmax
from training.sampler_search.ranking_model import RankingModel, RankingVectors
from training.samplers.negative import CurrentVectors, Positives
from training.samplers.seen import Seen
from training.samplers.static import UniformSampler


@dataclass(frozen=True)
class HeldOut:
    """Pairs held out of training, for ranking every item that the user has not met.

    Attributes:
        train_UI: float32[U, I], what was learned from.
        truth_UI: float32[U, I], what was held out.
    """

    train_UI: sp.csr_matrix
    truth_UI: sp.csr_matrix

    def judge(self, model: RankingModel, k: int) -> RankingScores:
        """Return how the model's full ranking does."""
        vectors = model.all_vectors(self.train_UI.shape[0])
        scorer = VectorScorer(vectors.users_BD.numpy(), vectors.items_ID.numpy())
        return evaluate(scorer, self.train_UI, self.truth_UI, k, targeting=False).recommendation

    def ndcg(self, model: RankingModel, k: int = 20) -> float:
        """Return the mean NDCG at k over users with held-out pairs; 0 without any."""
        scores = self.judge(model, k)
        return float(scores.ndcg(k).mean()) if len(scores.keys) else 0.0


class ValidationLoss:
    """Sampled softmax of held-out positives against uniform items: the same negatives whatever trains the model."""

    def __init__(
        self,
        known: PairLog,
        held_out: PairLog,
        batch_pairs: int,
        num_negatives: int,
        seed: int,
        sharpness: float = 1.0,
    ) -> None:
        """Hold the pairs.

        Args:
            known: Distinct training pairs; their items are no negatives of their users.
            held_out: Distinct pairs to find.
            batch_pairs: B, drawn with replacement.
            num_negatives: N of each.
            seed: Of the draws.
            sharpness: What scores are multiplied by.
        """
        self.sharpness = sharpness
        self.held_out, self.batch_pairs, self.num_negatives = held_out, batch_pairs, num_negatives
        everything = [np.concatenate(sides) for sides in zip(_sides(known), _sides(held_out), strict=True)]
        self.sampler = UniformSampler(Seen(everything[0], everything[1], known.num_users, known.num_items))
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self) -> Positives:
        """Return held-out pairs drawn at random."""
        rows = torch.randint(len(self.held_out), (self.batch_pairs,), generator=self.generator)
        user_idx, item_idx = (torch.from_numpy(side)[rows] for side in _sides(self.held_out))
        return Positives(user_idx, item_idx)

    def __call__(self, positives: Positives, vectors: RankingVectors) -> Tensor:
        """Return the loss of a batch, with gradient to the vectors."""
        current = CurrentVectors(*vectors)
        drawn = self.sampler.draw(positives, current, self.num_negatives, self.generator)
        positive_B = (current.users_BD * current.items_ID[positives.item_idx_B]).sum(1)
        return sampled_softmax(self.sharpness * positive_B, self.sharpness * current.scores(drawn.vectors))


def _sides(pairs: PairLog) -> tuple[np.ndarray, np.ndarray]:
    return pairs.user_idx, pairs.item_idx
