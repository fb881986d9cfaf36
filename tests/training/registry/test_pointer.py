"""The pointer goes to and from its file, and finds the snapshot to read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from training.contracts.errors import AttuneError, FrameMismatch, MissingArtefact, SpaceMismatch, UnknownConsumer
from training.registry.pointer import (
    POINTER,
    Pointer,
    PublishedSnapshot,
    entry_in_force,
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
    returned = replace(WHOLE, returned=8, withdrawn=(LEGACY, PINNED), pins={"team": "20261101-cc"}, frame="frame-1")
    assert Pointer.from_dict(returned.to_dict()) == returned


def test_a_pointer_of_before_there_were_pins_and_rollbacks_is_read() -> None:
    values = WHOLE.to_dict()
    for name in ("legacy", "pinned", "pins", "returned", "withdrawn", "reason", "frame"):
        del values[name]
    assert Pointer.from_dict(values) == replace(WHOLE, legacy=None, pinned=())


def test_resolve_reads_live_unless_a_space_or_consumer_is_named() -> None:
    assert WHOLE.resolve() == LIVE
    assert WHOLE.resolve(LEGACY.space_id) == LEGACY
    assert WHOLE.resolve(consumer="team") == PINNED
    assert LIVE.versions == {"matching": "v1"}
    assert WHOLE.of_space("nope") is None


def test_a_space_that_is_not_served_is_a_mismatch_that_names_both() -> None:
    with pytest.raises(SpaceMismatch, match="expected space 20260101-00000000, found 20261105-aaaaaaaa") as refused:
        WHOLE.resolve("20260101-00000000")
    assert "pointer.json; pin a space before its consumers depend on it, or move" in str(refused.value)


def test_a_consumer_that_is_not_served_is_named_beside_those_that_are() -> None:
    with pytest.raises(UnknownConsumer, match=r"consumer cold_start .* found matching, team") as refused:
        WHOLE.resolve(consumer="cold_start")
    assert refused.value.served == ["matching", "team"]
    assert str(refused.value).endswith("train cold_start on space 20261105-aaaaaaaa and promote again")
    assert "pointer.json" in str(refused.value)


def test_a_consumer_that_is_pinned_is_read_from_its_space_and_nowhere_else() -> None:
    other = _entry("20261103-dddddddd", "matching")
    pinned = replace(WHOLE, pinned=(PINNED, other), pins={"matching": other.space_id})
    assert pinned.resolve(consumer="matching") == other
    assert pinned.resolve(consumer="team") == PINNED
    for space_id in ("20260101-00000000", LEGACY.space_id):
        with pytest.raises(MissingArtefact, match=rf"of matching in space {space_id}, .*`unpin matching`"):
            replace(pinned, pins={"matching": space_id}).resolve(consumer="matching")


def test_a_frame_is_answered_by_the_first_served_snapshot_that_was_turned_into_it() -> None:
    live, legacy = replace(LIVE, frame="f1"), replace(LEGACY, frame="f1")
    framed = replace(WHOLE, live=live, legacy=legacy, pinned=(replace(PINNED, frame="f0"),))
    assert framed.frames == {"f1": live, "f0": framed.pinned[0]}
    assert framed.of_frame("f1") == live
    assert framed.of_frame("f1", LEGACY.space_id) == legacy
    assert framed.of_frame("f0") == framed.pinned[0]
    with pytest.raises(FrameMismatch, match=r"f2.* f0, f1 .*pointer.json; fit the reader anew on the frame in force"):
        framed.of_frame("f2")
    with pytest.raises(FrameMismatch, match=r"f0.* f1 "):
        framed.of_frame("f0", LEGACY.space_id)
    with pytest.raises(FrameMismatch, match="no frame"):
        WHOLE.of_frame("f1", LIVE.space_id)
    with pytest.raises(FrameMismatch, match="no frame"):
        WHOLE.of_frame("f1")


def test_reading_says_what_to_do_when_nothing_was_promoted(tmp_path: Path) -> None:
    assert find_pointer(tmp_path) is None
    with pytest.raises(
        MissingArtefact, match=r"promote a space first \(python -m serving_export promote --partition D\)"
    ):
        read_pointer(tmp_path)
    with pytest.raises(MissingArtefact, match=r"expected pointer 3 at .*00000003.json"):
        read_history(tmp_path, 3)


def test_reading_gives_what_was_written(tmp_path: Path) -> None:
    (tmp_path / POINTER).write_text(WHOLE.to_json())
    history_path(tmp_path, 7).parent.mkdir()
    history_path(tmp_path, 7).write_text(WHOLE.to_json())
    assert read_pointer(tmp_path) == read_history(tmp_path, 7) == WHOLE


def test_the_entry_in_force_is_the_one_served_last_of_its_space_and_models_that_is_still_there(tmp_path: Path) -> None:
    model = LIVE.consumers
    entries = {
        1: replace(LIVE, path="a/first"),
        2: replace(LIVE, path="a/second"),
        3: replace(LIVE, path="a/third"),
        4: _entry(LIVE.space_id, "other"),
        5: replace(_entry("20261106-ffffffff"), consumers=model),
    }
    history_path(tmp_path, 1).parent.mkdir()
    for sequence, entry in entries.items():
        if sequence != 3:  # a move of which no account is left
            past = Pointer(sequence=sequence, kind="refresh", previous=None, live=entry)
            history_path(tmp_path, sequence).write_text(past.to_json())
        (tmp_path / entry.path).mkdir(parents=True, exist_ok=True)
    now = Pointer(sequence=5, kind="promote", previous=None, live=entries[5])
    assert entry_in_force(tmp_path, now, entries[1]) == entries[2]
    (tmp_path / "a/second").rmdir()
    assert entry_in_force(tmp_path, now, entries[2]) == entries[1]
    assert entry_in_force(tmp_path, replace(now, sequence=1), entries[2]) == entries[1]
    (tmp_path / "a/first").rmdir()
    assert entry_in_force(tmp_path, now, entries[2]) == entries[2]


@pytest.mark.parametrize("torn", ["", "{", '{"sequence": 1}', "[]", "null"])
def test_a_torn_pointer_is_named_with_what_to_put_in_its_place(tmp_path: Path, torn: str) -> None:
    (tmp_path / POINTER).write_text(torn)
    with pytest.raises(
        AttuneError, match=rf"expected a whole pointer at {tmp_path / POINTER}.*copy .*/history over it"
    ):
        find_pointer(tmp_path)
