"""Fixed sparse products, and vectors as serving takes them."""

import torch
from scipy.sparse import csr_matrix

from training.models.light_gcn import as_torch
from training.models.matrix_factorisation import MatrixFactorisation
from training.models.ranking import sparse_product

MATRIX = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])


def test_a_sparse_product_and_its_gradient_are_those_of_the_dense_one():
    found, expected = (torch.arange(6.0).reshape(3, 2).requires_grad_() for _ in range(2))
    weight = torch.tensor([[1.0, -1.0], [2.0, 0.5]])
    sparse = sparse_product(as_torch(csr_matrix(MATRIX)), as_torch(csr_matrix(MATRIX.T)), found)
    dense = MATRIX @ expected
    (sparse * weight).sum().backward()
    (dense * weight).sum().backward()
    assert torch.equal(sparse, dense)
    assert torch.equal(found.grad, expected.grad)


def test_vectors_for_serving_are_every_users_without_gradient():
    model = MatrixFactorisation(3, 4, 2)
    vectors = model.all_vectors(3)
    assert torch.equal(vectors.users_BD, model.user_table.detach())
    assert not vectors.items_ID.requires_grad
