"""The pointer goes to and from its file, and finds the snapshot to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.contracts.errors import AttuneError, MissingArtefact, SpaceMismatch, UnknownConsumer
from training.registry.pointer import (
    POINTER,
    Pointer,
    PublishedSnapshot,
    find_pointer,
    history_path,
    read_history,
    read_pointer,
)


def _entry(space_id: str, consumer: str = "") -> PublishedSnapshot:
    consumers = {consumer: {"version": "v1", "space_id": space_id}} if consumer else {}
    return PublishedSnapshot(space_id=space_id, partition="2026-11-05", path=f"{space_id}/dt", consumers=consumers)


LIVE, LEGACY, PINNED = (
    _entry("20261105-aaaaaaaa", "matching"),
    _entry("20261104-bbbbbbbb"),
    _entry("20261101-cc", "team"),
)
WHOLE = Pointer(sequence=7, kind="promote", previous=5, live=LIVE, legacy=LEGACY, pinned=(PINNED,))


def test_it_goes_to_and_from_json() -> None:
    assert Pointer.from_dict(WHOLE.to_dict()) == WHOLE
    bare = Pointer(sequence=1, kind="promote", previous=None, live=LIVE)
    assert Pointer.from_dict(bare.to_dict()) == bare


def test_resolve_reads_live_unless_a_space_or_consumer_is_named() -> None:
    assert WHOLE.resolve() == LIVE
    assert WHOLE.resolve(LEGACY.space_id) == LEGACY
    assert WHOLE.resolve(consumer="team") == PINNED
    assert LIVE.versions == {"matching": "v1"}
    assert WHOLE.of_space("nope") is None


def test_a_space_that_is_not_served_is_a_mismatch_that_names_both() -> None:
    with pytest.raises(SpaceMismatch, match="expected space 20260101-00000000, found 20261105-aaaaaaaa"):
        WHOLE.resolve("20260101-00000000")


def test_a_consumer_that_is_not_served_is_named_beside_those_that_are() -> None:
    with pytest.raises(UnknownConsumer, match=r"consumer cold_start .* found matching, team") as refused:
        WHOLE.resolve(consumer="cold_start")
    assert refused.value.served == ["matching", "team"]


def test_reading_says_what_to_do_when_nothing_was_promoted(tmp_path: Path) -> None:
    assert find_pointer(tmp_path) is None
    with pytest.raises(MissingArtefact, match="promote a space first"):
        read_pointer(tmp_path)
    with pytest.raises(MissingArtefact, match="expected pointer 3"):
        read_history(tmp_path, 3)


def test_reading_gives_what_was_written(tmp_path: Path) -> None:
    (tmp_path / POINTER).write_text(WHOLE.to_json())
    history_path(tmp_path, 7).parent.mkdir()
    history_path(tmp_path, 7).write_text(WHOLE.to_json())
    assert read_pointer(tmp_path) == read_history(tmp_path, 7) == WHOLE


@pytest.mark.parametrize("torn", ["", "{", '{"sequence": 1}', "[]", "null"])
def test_a_torn_pointer_is_named_with_what_to_put_in_its_place(tmp_path: Path, torn: str) -> None:
    (tmp_path / POINTER).write_text(torn)
    with pytest.raises(
        AttuneError, match=rf"expected a whole pointer at {tmp_path / POINTER}.*copy .*/history over it"
    ):
        find_pointer(tmp_path)
