from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.consumers.cold_start.world import TINY
from tests.training.representation.trained_home import LAST, TrainedHome
from training.consumers.cold_start.assemble import (
    ColdStartSet,
    behaviour_columns,
    build_cold_start,
    read_cold_start,
    virtual_vectors,
)
from training.consumers.cold_start.search import search_and_train
from training.contracts.errors import MissingArtefact
from training.representation.user_space import ensure_embeddings, read_embeddings

CONFIG = replace(TINY, max_epochs=2)
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def found(trained: TrainedHome) -> ColdStartSet:
    return build_cold_start(trained.settings, LAST, trained.candidate.space_id)


def test_attributes_are_profile_and_onboarding_and_never_the_user_id(found: ColdStartSet) -> None:
    columns = {value.split("=")[0] for value in found.data.values.ids}
    assert columns <= {"country", "language", "age_band", "gender", "occupation", "onboarding_category"}
    assert not any(user in value for user in found.users.ids for value in found.data.values.ids)


def test_only_behaviour_columns_of_users_with_history_are_to_be_rebuilt(found: ColdStartSet) -> None:
    assert found.data.x_UF.shape[1] == found.space.assembler.layout.num_columns
    assert not (found.data.x_mask_UF & ~behaviour_columns(found.space)).any()
    assert not found.data.x_mask_UF[~found.data.has_history].any()


def test_virtual_vectors_keep_the_profile_and_differ_from_those_of_nothing(
    trained: TrainedHome, found: ColdStartSet
) -> None:
    space_id = trained.candidate.space_id
    model = search_and_train(found.data, CONFIG, space_id).model
    bare = replace(found, interactions=replace(found.interactions, user_idx=np.zeros(0, np.int32)))
    rows, z_nZ = virtual_vectors(bare, model)
    _, z_UZ = read_embeddings(trained.settings, space_id, LAST)
    assert rows.tolist() == list(range(len(found.users)))
    assert z_nZ.shape == z_UZ.shape
    assert np.isfinite(z_nZ).all()
    assert np.abs(z_nZ - z_UZ).max() > 1e-3


def test_data_for_a_stored_model_are_over_its_own_ids(trained: TrainedHome, found: ColdStartSet) -> None:
    model = search_and_train(found.data, CONFIG, trained.candidate.space_id).model
    ensure_embeddings(trained.settings, trained.candidate.space_id, LAST.shift(-1))
    again = read_cold_start(trained.settings, LAST.shift(-1), trained.candidate.space_id, model)
    assert again.data.items == model.items
    assert again.data.values == model.values
    assert (again.data.attribute_idx_UA.shape[1], again.data.pick_idx_UP.shape[1]) == model.token_widths
    assert model.user_vectors(again.data).shape[0] == len(again.users)


def test_an_unknown_space_says_what_to_run(trained: TrainedHome) -> None:
    with pytest.raises(MissingArtefact, match="20261105-ffffffff"):
        build_cold_start(trained.settings, LAST, "20261105-ffffffff")
