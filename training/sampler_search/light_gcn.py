"""Smooth free vectors over the graph of known pairs, without weights or activations: LightGCN (arXiv 2002.02126).

Shape legend: U users, I items, V = U + I nodes, L layers counted with the free vectors as the first, D width.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from training.data.pair_log import PairLog
from training.sampler_search.fixed_matrix import FixedMatrix
from training.sampler_search.ranking_model import RankingModel, RankingVectors


class LightGCN(RankingModel):
    """score(u, i) = <mean over layers of E_u, the same of E_i>.

    E of a layer is D^-1/2 A D^-1/2 times E of the one before, with A the graph and D its degrees. Users and items
    without pairs keep a share of their free vector.
    """

    def __init__(self, pairs: PairLog, width: int, num_hops: int = 2, start_deviation: float = 0.1) -> None:
        """Draw the free vectors from torch's generator.

        Args:
            pairs: The distinct training pairs, which are the graph.
            width: D.
            num_hops: L - 1.
            start_deviation: Of the normal draw.
        """
        super().__init__()
        self.num_users, self.num_hops = pairs.num_users, num_hops
        self.node_table = nn.Parameter(torch.randn(pairs.num_users + pairs.num_items, width) * start_deviation)
        self.graph = FixedMatrix(normalised_graph(pairs))

    def forward(self, user_idx_B: Tensor, hidden_item_idx_B: Tensor | None = None) -> RankingVectors:
        """Return the smoothed vectors, items by layer as well; the pairs of the graph stay in it while scored."""
        layer: Tensor = self.node_table
        layers = [layer]
        for _ in range(self.num_hops):
            layer = self.graph @ layer
            layers.append(layer)
        layers_LVD = torch.stack(layers)
        items_LID = layers_LVD[:, self.num_users :]
        return RankingVectors(layers_LVD[:, user_idx_B].mean(0), items_LID.mean(0), items_LID)


def normalised_graph(pairs: PairLog) -> sp.csr_matrix:
    """Return the symmetric sparse float32[V, V]: 1 / sqrt(degree * degree) on each known pair, in both directions."""
    known = pairs.matrix()
    above, below = known.tocoo(), known.T.tocoo()
    rows = np.concatenate([above.row, below.row + pairs.num_users])
    columns = np.concatenate([above.col + pairs.num_users, below.col])
    size = pairs.num_users + pairs.num_items
    both = sp.csr_matrix((np.concatenate([above.data, below.data]), (rows, columns)), (size, size))
    scale = sp.diags_array(1 / np.sqrt(np.maximum(np.asarray(both.sum(axis=1)).ravel(), 1)))
    return sp.csr_matrix(scale @ both @ scale)
