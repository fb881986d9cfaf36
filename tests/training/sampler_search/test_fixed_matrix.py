"""Sparse products against dense ones, and copies that share."""

import copy

import torch
from scipy.sparse import csr_matrix

from training.sampler_search.fixed_matrix import FixedMatrix, as_torch

MATRIX = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])


def test_a_product_and_its_gradient_are_those_of_the_dense_one():
    found, expected = (torch.arange(6.0).reshape(3, 2).requires_grad_() for _ in range(2))
    weight = torch.tensor([[1.0, -1.0], [2.0, 0.5]])
    sparse, dense = FixedMatrix(csr_matrix(MATRIX)) @ found, MATRIX @ expected
    (sparse * weight).sum().backward()
    (dense * weight).sum().backward()
    assert torch.equal(sparse, dense)
    assert torch.equal(found.grad, expected.grad)


def test_copies_of_a_model_share_the_matrix():
    matrix = FixedMatrix(csr_matrix(MATRIX))
    assert copy.deepcopy({"graph": matrix})["graph"] is matrix


def test_values_arrive_as_float32():
    assert torch.equal(as_torch(csr_matrix(MATRIX.double())).to_dense(), MATRIX)
