"""One free vector per user and item."""

import torch

from training.sampler_search.matrix_factorisation import MatrixFactorisation


def test_users_are_rows_and_items_the_table():
    model = MatrixFactorisation(3, 4, 2)
    vectors = model(torch.tensor([2, 0]), torch.tensor([1, 1]))
    assert torch.equal(vectors.users_BD, model.user_table[[2, 0]])
    assert vectors.items_ID.shape == (4, 2)
    assert vectors.item_layers_LID is None


def test_the_start_follows_the_seed_and_the_deviation():
    torch.manual_seed(3)
    first = MatrixFactorisation(200, 10, 8, start_deviation=0.5)
    torch.manual_seed(3)
    assert torch.equal(first.user_table, MatrixFactorisation(200, 10, 8, 0.5).user_table)
    assert abs(float(first.user_table.std().detach()) - 0.5) < 0.03
