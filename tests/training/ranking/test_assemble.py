from __future__ import annotations

import numpy as np
import pytest

from tests.training.representation.trained_home import LAST, TrainedHome
from training.contracts.errors import MissingArtefact
from training.ranking.assemble import build_dataset, read_dataset, with_earlier
from training.ranking.dataset import RankingDataset
from training.storage import PART


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


@pytest.mark.integration
def test_reading_a_data_set_encodes_nothing_and_says_which_job_does(trained: TrainedHome) -> None:
    settings, space_id = trained.settings, trained.candidate.space_id
    built = build_dataset(settings, LAST, space_id)
    path = settings.embeddings_dir(space_id, LAST) / PART
    path.unlink()
    with pytest.raises(MissingArtefact, match=f"run encode_partition for {LAST} with space_id {space_id}"):
        read_dataset(settings, LAST, space_id)
    assert not path.exists()
    np.testing.assert_array_equal(build_dataset(settings, LAST, space_id).z_UZ, built.z_UZ)
    np.testing.assert_array_equal(read_dataset(settings, LAST, space_id).z_UZ, built.z_UZ)


@pytest.mark.integration
def test_earlier_vectors_are_those_of_the_newest_day_that_ends_by_the_cut(trained: TrainedHome) -> None:
    data = read_of_last_day(trained)
    cut = int(LAST.shift(-1).as_of.timestamp())
    for second, day in ((cut, LAST.shift(-1)), (cut - 1, LAST.shift(-2))):
        found = with_earlier(trained.settings, data, second).earlier
        assert found is not None
        assert found.as_of == int(day.as_of.timestamp())
        np.testing.assert_array_equal(found.z_UZ, build_dataset(trained.settings, day, data.space_id).z_UZ)
    assert with_earlier(trained.settings, data, 0).earlier is None


def read_of_last_day(trained: TrainedHome) -> RankingDataset:
    return build_dataset(trained.settings, LAST, trained.candidate.space_id)
