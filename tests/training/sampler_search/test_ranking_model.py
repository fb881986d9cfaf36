"""Vectors as serving takes them."""

import pytest
import torch

from training.sampler_search.matrix_factorisation import MatrixFactorisation
from training.sampler_search.ranking_model import RankingModel


def test_vectors_for_serving_are_every_users_without_gradient():
    model = MatrixFactorisation(3, 4, 2)
    vectors = model.all_vectors(3)
    assert torch.equal(vectors.users_BD, model.user_table.detach())
    assert not vectors.items_ID.requires_grad


def test_a_model_must_say_what_its_vectors_are():
    with pytest.raises(NotImplementedError):
        RankingModel()(torch.tensor([0]))
