from __future__ import annotations

import numpy as np
import pytest

from tests.training.representation.trained_home import LAST, TrainedHome
from training.contracts.errors import MissingArtefact
from training.ranking.assemble import build_dataset


@pytest.mark.integration
def test_the_data_set_holds_every_known_user_in_time_order(trained: TrainedHome) -> None:
    data = build_dataset(trained.settings, LAST, trained.candidate.space_id)
    assert len(data.users) == 64
    assert len(data.items) == 40
    assert (np.diff(data.occurred_at) >= 0).all()
    assert data.as_of == int(LAST.as_of.timestamp())
    assert data.occurred_at.max() < data.as_of
    assert np.abs(data.z_UZ).sum(axis=1).min() > 0
    assert data.item_vectors_IE.shape[0] == 40
    assert data.arrived_at is not None
    assert (data.arrived_at <= data.occurred_at).all()  # by day, and nothing is late here
    assert data.earlier is None


@pytest.mark.integration
def test_an_unknown_space_says_what_to_run(trained: TrainedHome) -> None:
    with pytest.raises(MissingArtefact, match="20261105-ffffffff"):
        build_dataset(trained.settings, LAST, "20261105-ffffffff")
