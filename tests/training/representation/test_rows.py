import shutil

import numpy as np
import pandas as pd
import pytest

from tests.training.representation.trained_home import LAST, copied_home
from training.contracts.columns import DBT_FEATURES
from training.contracts.errors import ContractViolation, MissingArtefact
from training.representation import rows as user_encoder_rows
from training.representation.item_space import load_item_space
from training.representation.rows import (
    TrainingRows,
    anchor_of,
    ensure_snapshot,
    read_pair_task,
    read_rows,
    read_snapshot,
    require_rows,
)
from training.storage import PART
from training.validation.data_docs import docs_dir

pytestmark = pytest.mark.integration


@pytest.fixture
def item_space_id(trained) -> str:
    for day in (LAST, LAST.shift(-7)):  # another test of the shared home may have removed what was pooled
        ensure_snapshot(trained.settings, day, trained.candidate.item_space_id)
    return trained.candidate.item_space_id


def test_one_row_per_user_and_snapshot_newest_first(trained, item_space_id):
    rows = read_rows(trained.settings, [LAST, LAST.shift(-7)], item_space_id)
    assert len(rows.frame) == 128
    assert rows.partitions == (str(LAST), str(LAST.shift(-7)))
    assert rows.frame["event_timestamp"].iloc[[0, -1]].tolist() == [LAST.as_of, LAST.shift(-7).as_of]
    assert set(rows.frame["item_space_id"]) == {item_space_id}


def test_an_older_snapshot_knows_less(trained, item_space_id):
    now, then = (read_snapshot(trained.settings, day, item_space_id) for day in (LAST, LAST.shift(-7)))
    assert now["count_taste_all"].sum() == 60 * 24 > then["count_taste_all"].sum()


def test_good_rows_pass_their_suite_and_leave_docs(trained, item_space_id):
    require_rows(trained.settings, LAST, read_rows(trained.settings, [LAST], item_space_id))
    assert (docs_dir(trained.settings, LAST, "training_set") / "index.html").exists()


def test_a_user_twice_stops_the_training(trained, item_space_id):
    frame = read_snapshot(trained.settings, LAST, item_space_id)
    twice = TrainingRows(pd.concat([frame, frame.head(1)], ignore_index=True), (str(LAST),), item_space_id)
    with pytest.raises(ContractViolation, match="training_set"):
        require_rows(trained.settings, LAST, twice)


def test_there_is_no_anchor_before_the_first_arrival(trained):
    assert anchor_of(trained.settings, LAST, 7) == LAST.shift(-7)
    assert anchor_of(trained.settings, LAST.shift(-20), 7) is None


def test_the_task_is_the_week_after_the_anchor(trained, item_space_id):
    anchor, items = LAST.shift(-7), load_item_space(trained.settings, item_space_id)
    frame = read_snapshot(trained.settings, anchor, item_space_id)
    task = read_pair_task(trained.settings, anchor, LAST, frame, items, 10_000)
    week = [e for e in trained.world.events if e["occurred_at"] >= anchor.as_of]
    before = {(e["user_id"], e["item_id"]) for e in trained.world.events if e["occurred_at"] < anchor.as_of}
    expected = {(e["user_id"], e["item_id"]) for e in week} - before
    positive = task.label == 1
    users, ids = frame["user_id"].to_numpy(), np.array(items.item_ids)
    found = set(zip(users[task.user_idx[positive]], ids[task.item_idx[positive]], strict=True))
    assert found == expected


def test_a_snapshot_that_was_read_is_not_read_again(trained, item_space_id, monkeypatch):
    anchor = LAST.shift(-7)
    rows = read_rows(trained.settings, [LAST, anchor], item_space_id)
    fresh = read_snapshot(trained.settings, anchor, item_space_id)
    monkeypatch.setattr(user_encoder_rows, "read_snapshot", None)
    pd.testing.assert_frame_equal(rows.snapshot(trained.settings, anchor, item_space_id), fresh)


@pytest.mark.parametrize("table", ["user_taste", "user_activity"])
def test_reading_a_snapshot_builds_nothing_and_says_which_job_does(
    trained, item_space_id, tmp_path, monkeypatch, table
):
    settings = copied_home(trained, tmp_path)
    for built in ("build", "export_features"):
        monkeypatch.setattr(user_encoder_rows.warehouse, built, lambda *args: pytest.fail("a read runs dbt"))
    folder = settings.features_dir(table, LAST, item_space_id if table == "user_taste" else None)
    shutil.rmtree(folder)
    job = "pool_taste" if table == "user_taste" else "transform_partition"
    with pytest.raises(MissingArtefact, match=rf"expected a snapshot of {table} for {LAST}.*run {job} for {LAST}"):
        read_snapshot(settings, LAST, item_space_id)
    assert not folder.exists()


@pytest.mark.parametrize("table", DBT_FEATURES)
def test_whichever_table_is_missing_the_partition_is_built(trained, item_space_id, tmp_path, monkeypatch, table):
    settings, built = copied_home(trained, tmp_path), []
    path = settings.features_dir(table, LAST) / PART
    hidden = path.rename(tmp_path / PART)
    monkeypatch.setattr(user_encoder_rows.warehouse, "build", lambda settings, partition: built.append(partition))
    monkeypatch.setattr(user_encoder_rows.warehouse, "export_features", lambda *args: hidden.rename(path))
    ensure_snapshot(settings, LAST, item_space_id)
    ensure_snapshot(settings, LAST, item_space_id)
    assert built == [LAST]
    pd.testing.assert_frame_equal(
        read_snapshot(settings, LAST, item_space_id), read_snapshot(trained.settings, LAST, item_space_id)
    )
