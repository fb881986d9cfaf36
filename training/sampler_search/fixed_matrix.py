"""Multiply by a sparse matrix that is never learned: a graph, or the histories of users.

Shape legend: R rows, C columns, D width.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor


class FixedMatrix:
    """A sparse float32[R, C] with its transpose at hand for gradients; copies of a model share it."""

    def __init__(self, matrix: sp.csr_matrix) -> None:
        self.matrix, self.transposed = as_torch(matrix), as_torch(sp.csr_matrix(matrix.T))

    def __matmul__(self, x_CD: Tensor) -> Tensor:
        """Return float[R, D], with gradient to x."""
        product: Tensor = _SparseProduct.apply(self.matrix, self.transposed, x_CD)  # type: ignore[no-untyped-call]
        return product

    def __deepcopy__(self, memo: dict[int, Any]) -> FixedMatrix:
        return self


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, ctx.transposed @ outer[0]


def as_torch(matrix: sp.csr_matrix) -> Tensor:
    """Return a sparse row matrix as torch's, float32."""
    parts = (torch.from_numpy(matrix.indptr.astype(np.int64)), torch.from_numpy(matrix.indices.astype(np.int64)))
    values = torch.from_numpy(matrix.data.astype(np.float32))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse_csr_tensor(*parts, values, size=matrix.shape, check_invariants=False)
