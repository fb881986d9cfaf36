from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.bench.cold_start.world import NUM_USERS, write_folder
from training.bench.cold_start.logs import read_attributes
from training.bench.cold_start.tasks import ColdTask, attribute_columns, make_tasks
from training.bench.shared.logs import read_public_log


@pytest.fixture
def tasks(tmp_path: Path) -> tuple[ColdTask, ColdTask]:
    folder = write_folder(tmp_path / "ml")
    return make_tasks(read_public_log(folder).frame, read_attributes(folder))


def test_a_fifth_of_the_users_is_held_out_whole_by_a_fixed_seed(tasks: tuple[ColdTask, ColdTask]) -> None:
    _, test = tasks
    users = np.arange(1, NUM_USERS + 1)
    held_out = np.random.default_rng(42).choice(users, NUM_USERS // 5, replace=False)
    assert test.num_known == NUM_USERS - NUM_USERS // 5
    assert test.truth.shape[0] == len(held_out)
    assert test.truth.nnz == 6 * len(held_out)
    assert not test.data.has_history[test.num_known :].any()
    assert test.data.has_history[: test.num_known].all()


def test_validation_holds_out_an_eighth_of_the_training_users(tasks: tuple[ColdTask, ColdTask]) -> None:
    validation, test = tasks
    assert validation.truth.shape[0] == test.num_known // 8
    assert validation.num_known + validation.truth.shape[0] == test.num_known


def test_columns_tell_the_groups_apart(tasks: tuple[ColdTask, ColdTask]) -> None:
    _, test = tasks
    women = np.array([group.startswith("F") for group in test.groups])
    assert len(test.groups) == len(test.attributes_UF) == NUM_USERS
    column = test.data.values.ids.index("gender=F")
    assert attribute_columns(test.data)[:, column].astype(bool).tolist() == women.tolist()
    halves = test.log.item_idx < test.log.num_items / 2
    assert (halves == women[test.log.user_idx]).mean() > 0.9


def test_rows_match_between_the_peers_log_and_ours(tasks: tuple[ColdTask, ColdTask]) -> None:
    _, test = tasks
    np.testing.assert_array_equal(test.log.user_idx, test.data.pairs.user_idx)
    np.testing.assert_array_equal(test.log.item_idx, test.data.pairs.item_idx)
