"""Past vectors are point in time: the newest snapshot not after the moment, of those that were served."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving_export import past_vectors
from serving_export.lookup import EmbeddingStore
from serving_export.past_vectors import PastVectors, Source, write_past, write_past_file
from serving_export.promote import promote_space
from serving_export.publish import publish
from serving_export.refresh import refresh_embeddings
from serving_export.vectors import SpaceVectors
from tests.serving_export.world import DAY1, DAY2, DAY3, DAY4, World
from training.contracts.errors import AttuneError, FrameMismatch, SpaceMismatch, UnknownId
from training.contracts.frames import frame_of
from training.contracts.partitions import Partition
from training.registry.pointer import read_pointer


def vectors_of(world: World, space_id: str, partition: Partition) -> dict[str, np.ndarray]:
    return dict(zip(*world.encode(world.settings, space_id, partition), strict=True))


@pytest.fixture
def space_id(world: World) -> str:
    """A space that has served the first, the second and the fourth day."""
    [space_id] = world.promote(DAY1)
    refresh_embeddings(world.settings, DAY2, world.sources)
    refresh_embeddings(world.settings, DAY4, world.sources)
    return space_id


def test_a_moment_reads_the_newest_snapshot_that_is_not_after_it(world: World, space_id: str) -> None:
    second = timedelta(seconds=1)
    moments = [DAY1.as_of, DAY2.as_of - second, DAY2.as_of, DAY3.as_of + second, DAY4.as_of + timedelta(days=9)]
    found = PastVectors(world.settings.published_dir).read(Source(space_id), ["u05"] * 5, moments)
    expected = [DAY1, DAY1, DAY2, DAY2, DAY4]
    assert found.partition == [str(day) for day in expected]
    np.testing.assert_array_equal(found.vectors, [vectors_of(world, space_id, day)["u05"] for day in expected])


def test_nobody_is_known_before_the_first_snapshot_or_their_own(world: World, space_id: str) -> None:
    past = PastVectors(world.settings.published_dir)
    users, moments = ["u05", "u40", "u40"], [DAY1.as_of - timedelta(seconds=1), DAY1.as_of, DAY2.as_of]
    found = past.read(Source(space_id), users, moments)
    assert found.partition == [None, None, str(DAY2)]
    assert np.isnan(found.vectors).all(axis=1).tolist() == [True, True, False]
    with pytest.raises(UnknownId, match="found 2 rows of others, first 'u05' at 2026-11-01T23:59:59"):
        past.read(Source(space_id), users, moments, "raise")


def test_a_frame_is_read_over_the_spaces_that_carried_it(world: World) -> None:
    """The second space is not turned into the frame, so that its day is answered by what was carried before."""
    (first,) = world.promote(DAY1)
    unfit = world.train(DAY2)
    world.unfit.add(unfit.space_id)
    promote_space(world.settings, DAY2, world.sources)
    (third,) = world.promote(DAY3)
    past, frame = PastVectors(world.settings.published_dir), frame_of(first)
    moments = [DAY1.as_of, DAY2.as_of, DAY3.as_of]
    found = past.read(Source(frame=frame), ["u05"] * 3, moments)
    assert found.space_id == [first, first, third]
    assert found.partition == [str(DAY1), str(DAY1), str(DAY3)], "the last day on which the frame was carried"
    store = EmbeddingStore(world.settings.published_dir)
    np.testing.assert_array_equal(found.vectors[2], store.lookup(["u05"], frame=frame).vectors[0])
    assert (found.vectors[2] != store.lookup(["u05"]).vectors[0]).any()
    of_third = past.read(Source(third, frame), ["u05"] * 3, moments)
    assert of_third.space_id == [None, None, third]
    np.testing.assert_array_equal(of_third.vectors[2], found.vectors[2])
    for source in (Source(unfit.space_id, frame), Source(frame="frame-20200101-00000000")):
        with pytest.raises(FrameMismatch, match="found none of it"):
            past.read(source, ["u05"], moments[:1])


def test_what_was_published_but_never_served_does_not_count(world: World, space_id: str) -> None:
    users, z_UZ = world.encode(world.settings, space_id, DAY3)
    publish(world.settings, SpaceVectors.of(space_id, DAY3, users, z_UZ))
    past = PastVectors(world.settings.published_dir)
    assert [entry.partition for entry in past.retained(Source(space_id))] == [str(day) for day in (DAY1, DAY2, DAY4)]


def test_of_a_day_that_was_published_twice_the_last_one_counts(world: World, space_id: str) -> None:
    world.build = 2
    refresh_embeddings(world.settings, DAY4, world.sources)
    found = PastVectors(world.settings.published_dir).read(Source(space_id), ["u05"], [DAY4.as_of])
    np.testing.assert_array_equal(found.vectors[0], vectors_of(world, space_id, DAY4)["u05"])


def test_a_space_without_snapshots_and_a_moment_without_a_zone_are_refused(world: World, space_id: str) -> None:
    past = PastVectors(world.settings.published_dir)
    with pytest.raises(SpaceMismatch, match="expected space elsewhere, found none of it at the retained snapshots"):
        past.read(Source("elsewhere"), ["u05"], [DAY1.as_of])
    with pytest.raises(AttuneError, match="time zone, found 2026-11-03"):
        past.read(Source(space_id), ["u05"], [datetime(2026, 11, 3)])


def test_a_snapshot_whose_bytes_have_changed_is_not_read(world: World, space_id: str) -> None:
    path = world.settings.published_dir / read_pointer(world.settings.published_dir).live.path / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(AttuneError, match="expected sha256"):
        PastVectors(world.settings.published_dir).read(Source(space_id), ["u05"], [DAY4.as_of])


def test_few_snapshots_stay_open(world: World, space_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_vectors, "OPEN_AT_ONCE", 1)
    past = PastVectors(world.settings.published_dir)
    past.read(Source(space_id), ["u05", "u05"], [DAY1.as_of, DAY2.as_of])
    assert len(past._open) == 1


def test_rows_are_written_as_parquet_a_block_at_a_time(world: World, space_id: str, tmp_path: Path) -> None:
    past, out = PastVectors(world.settings.published_dir), tmp_path / "past.parquet"
    blocks = [(["u05", "nobody"], [DAY2.as_of, DAY2.as_of]), (["u40"], [DAY4.as_of])]
    assert write_past_file(past, Source(space_id), blocks, out, "null") == 3
    file = pq.ParquetFile(out)
    assert file.num_row_groups == 2
    assert file.schema_arrow.metadata[b"space_id"] == space_id.encode()
    rows = file.read().to_pylist()
    assert [(row["user_id"], row["partition"]) for row in rows] == [
        ("u05", str(DAY2)),
        ("nobody", None),
        ("u40", str(DAY4)),
    ]
    assert rows[0]["as_of"] == DAY2.as_of.astimezone(UTC)
    assert rows[1]["vector"] is None
    np.testing.assert_array_equal(np.float32(rows[2]["vector"]), vectors_of(world, space_id, DAY4)["u40"])


def test_a_refusal_half_way_leaves_no_file(world: World, space_id: str, tmp_path: Path) -> None:
    past, out = PastVectors(world.settings.published_dir), tmp_path / "past.parquet"
    with pytest.raises(UnknownId):
        write_past_file(past, Source(space_id), [(["u05"], [DAY2.as_of]), (["nobody"], [DAY2.as_of])], out, "raise")
    assert list(tmp_path.glob("*")) == [world.settings.home]


def test_no_blocks_write_nothing(tmp_path: Path) -> None:
    assert write_past([], Source("s"), tmp_path / "x") == 0
