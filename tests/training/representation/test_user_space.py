import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.training.representation.trained_home import LAST, TrainedHome
from training.contracts.columns import POOLED_FEATURES, USER_EMBEDDING
from training.contracts.errors import MissingArtefact, SpaceMismatch
from training.data.derived_lock import free_to_remove
from training.data.feature_store import read_user_features
from training.representation import user_space
from training.representation.rows import ensure_snapshot, read_snapshot
from training.representation.user_space import (
    UserSpace,
    ensure_embeddings,
    read_embedding_file,
    read_embeddings,
    write_embeddings,
)
from training.storage import PART, arrow_schema

pytestmark = pytest.mark.integration


@pytest.fixture
def space(trained: TrainedHome) -> UserSpace:
    return UserSpace.load(trained.settings, trained.candidate.space_id)


def path_of(trained: TrainedHome):
    return trained.settings.embeddings_dir(trained.candidate.space_id, LAST) / PART


def encoded(trained: TrainedHome):
    ensure_embeddings(trained.settings, trained.candidate.space_id, LAST)
    return read_embeddings(trained.settings, trained.candidate.space_id, LAST)


def test_every_known_user_gets_a_finite_vector(trained, space):
    user_ids, z = encoded(trained)
    assert user_ids == sorted(trained.world.profiles)
    assert z.shape == (64, space.width) == (64, 12)
    assert z.dtype == np.float32
    assert np.isfinite(z).all()


def test_users_without_behaviour_are_told_apart_by_their_picks(trained, space):
    user_ids, z = encoded(trained)
    rows = z[[user_ids.index(f"cold{n}") for n in range(4)]]
    assert len(np.unique(rows.round(4), axis=0)) == 4


def test_the_file_keeps_the_contract_and_its_bytes(trained, space):
    ensure_embeddings(trained.settings, space.ref.space_id, LAST)
    table, before = pq.read_table(path_of(trained), partitioning=None), path_of(trained).read_bytes()
    assert table.schema.equals(arrow_schema(USER_EMBEDDING))
    assert set(table["space_id"].to_pylist()) == {space.ref.space_id}
    assert set(table["event_timestamp"].to_pylist()) == {LAST.as_of}
    path_of(trained).unlink()
    ensure_embeddings(trained.settings, space.ref.space_id, LAST)
    assert path_of(trained).read_bytes() == before


def test_vectors_of_other_features_are_made_anew(trained, space):
    user_ids, z = encoded(trained)
    write_embeddings(path_of(trained), space.ref.space_id, LAST, user_ids, z + 1, b"features of another day")
    np.testing.assert_array_equal(encoded(trained)[1], z)


def test_onboarding_that_a_crash_kept_back_is_pooled_though_taste_is_there(trained, space):
    _, z = encoded(trained)
    onboarding = trained.settings.features_dir("user_onboarding", LAST, space.ref.item_space_id) / PART
    onboarding.unlink()
    path_of(trained).unlink()
    np.testing.assert_array_equal(encoded(trained)[1], z)
    assert onboarding.exists()


def test_a_partition_that_was_not_pooled_is_pooled(trained, space):
    item_space_id = space.ref.item_space_id
    folder = trained.settings.features_dir("user_taste", LAST.shift(-2), item_space_id)
    shutil.rmtree(folder, ignore_errors=True)  # another test of the shared home may have pooled it
    ensure_embeddings(trained.settings, space.ref.space_id, LAST.shift(-2))
    assert (folder / PART).exists()


def test_what_was_pruned_is_made_again_to_the_same_bytes(trained, space):
    home, item_space_id = trained.settings.home, space.ref.item_space_id
    ensure_embeddings(trained.settings, space.ref.space_id, LAST)
    pooled = [trained.settings.features_dir(name, LAST, item_space_id) / PART for name in POOLED_FEATURES]
    before = [path.read_bytes() for path in (path_of(trained), *pooled)]
    shutil.rmtree(home / "embeddings" / f"space={space.ref.space_id}")
    shutil.rmtree(home / "taste_sums" / f"item_space={item_space_id}")
    for path in pooled:
        shutil.rmtree(path.parent.parent)
    ensure_embeddings(trained.settings, space.ref.space_id, LAST)
    assert [path.read_bytes() for path in (path_of(trained), *pooled)] == before
    shutil.rmtree(pooled[0].parent.parent)  # a prune that was cut short takes taste first
    ensure_snapshot(trained.settings, LAST, item_space_id)
    assert len(read_snapshot(trained.settings, LAST, item_space_id)) == 64
    assert pooled[0].read_bytes() == before[1]


@pytest.mark.parametrize("gone", ["vectors", *POOLED_FEATURES])
def test_reading_builds_nothing_and_says_which_job_does(trained, space, gone):
    settings, item_space_id = trained.settings, space.ref.item_space_id
    ensure_embeddings(settings, space.ref.space_id, LAST)
    path = path_of(trained) if gone == "vectors" else settings.features_dir(gone, LAST, item_space_id) / PART
    before = path.read_bytes()
    path.unlink()
    with pytest.raises(MissingArtefact, match=rf"none at {path}; run encode_partition for {LAST} with space_id"):
        read_embeddings(settings, space.ref.space_id, LAST)
    assert not path.exists()
    ensure_embeddings(settings, space.ref.space_id, LAST)
    assert path.read_bytes() == before


def test_vectors_of_other_features_are_not_read(trained, space):
    user_ids, z = encoded(trained)
    write_embeddings(path_of(trained), space.ref.space_id, LAST, user_ids, z + 1, b"features of another day")
    with pytest.raises(MissingArtefact, match="run encode_partition"):
        read_embeddings(trained.settings, space.ref.space_id, LAST)
    np.testing.assert_array_equal(encoded(trained)[1], z)


def test_nothing_is_removed_while_users_are_encoded(trained, space, monkeypatch):
    seen = []

    def read(settings, *args, **kwargs):
        with free_to_remove(settings) as free:
            seen.append(free)
        return read_user_features(settings, *args, **kwargs)

    monkeypatch.setattr(user_space, "read_user_features", read)
    shutil.rmtree(trained.settings.home / "embeddings" / f"space={space.ref.space_id}", ignore_errors=True)
    ensure_embeddings(trained.settings, space.ref.space_id, LAST)
    assert seen == [False], "taste that goes between pooling and reading would be read as nulls"


def test_features_of_another_item_space_are_refused(trained, space):
    frame = read_snapshot(trained.settings, LAST, space.ref.item_space_id)
    assert space.encode(frame).shape == (64, 12)
    foreign = frame.assign(item_space_id="20200101-99999999")
    with pytest.raises(SpaceMismatch, match=r"expected space .* found 20200101-99999999"):
        space.encode(foreign)


def test_users_encoded_in_blocks_get_the_same_vectors(trained, space, monkeypatch):
    frame = read_snapshot(trained.settings, LAST, space.ref.item_space_id)
    whole = space.encode(frame)
    monkeypatch.setattr(user_space, "ROWS_AT_ONCE", 24)
    np.testing.assert_allclose(space.encode(frame), whole, rtol=1e-5, atol=1e-6)


def test_an_unknown_space_says_what_to_run(trained):
    with pytest.raises(MissingArtefact, match="expected space 20200101-00000000"):
        UserSpace.load(trained.settings, "20200101-00000000")


def test_no_users_survive_the_disk(tmp_path):
    write_embeddings(tmp_path / PART, "s", LAST, [], np.zeros((0, 3), np.float32), b"x")
    user_ids, z = read_embedding_file(tmp_path / PART)
    assert user_ids == []
    assert len(z) == 0
