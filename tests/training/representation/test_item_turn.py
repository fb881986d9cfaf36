from types import SimpleNamespace

import numpy as np
import pytest

from training.representation.item_turn import choose_turn

IDS = tuple(f"i{n:02}" for n in range(30))


def unit_rows(seed: int, num: int = 30, width: int = 4) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(num, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def turned(rows: np.ndarray, seed: int) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(rows.shape[1],) * 2))
    return (rows @ turn).astype(np.float32)


VECTORS = {"content": unit_rows(1), "collaborative": unit_rows(2)}
EVENTS = np.arange(1, 31)


def reference(name: str, places: range, basis: str = "") -> SimpleNamespace:
    """The items at `places`, each modality turned by itself."""
    rows = list(places)
    return SimpleNamespace(
        item_space_id=name,
        basis=basis or name,
        item_ids=tuple(IDS[row] for row in rows),
        content=turned(VECTORS["content"][rows], 11),
        collaborative=turned(VECTORS["collaborative"][rows], 12),
    )


def test_each_modality_is_turned_back_by_itself():
    old = reference("old", range(30))
    found = choose_turn(IDS, VECTORS, EVENTS, [old])
    for name in VECTORS:
        np.testing.assert_allclose(VECTORS[name] @ found.rotations[name], getattr(old, name), atol=1e-6)
        assert found.residuals[name] < 1e-10
    assert found.event_share == 1.0


def test_items_that_only_one_side_knows_count_for_nothing():
    old = reference("old", range(10, 30))
    found = choose_turn(IDS, VECTORS, EVENTS, [old])
    assert found.event_share == pytest.approx(EVENTS[10:].sum() / EVENTS.sum())
    np.testing.assert_allclose(VECTORS["content"][10:] @ found.rotations["content"], old.content, atol=1e-6)


def test_the_residual_is_the_share_by_events_that_is_not_met():
    """One item in the other direction: (2 ** 2) of its events' share of squared size, little else moves."""
    old = reference("old", range(30))
    old.content = VECTORS["content"].copy()
    old.content[29] *= -1
    events = np.full(30, 1000)
    events[29] = 1
    found = choose_turn(IDS, VECTORS, events, [old])
    assert found.residuals["content"] == pytest.approx(4 / 29_001, rel=0.05)


def test_the_first_that_holds_half_of_the_events_is_kept_to():
    """The frame's own item space goes first; once its items have gone, the newest one that knows the items does."""
    first, newest = reference("first", range(15, 30), basis="root"), reference("newest", range(30), basis="root")
    assert choose_turn(IDS, VECTORS, EVENTS, [first, newest]).onto == "first"
    worn = reference("first", range(15), basis="root")
    found = choose_turn(IDS, VECTORS, EVENTS, [worn, newest])
    assert (found.onto, found.basis) == ("newest", "root")
    assert choose_turn(IDS, VECTORS, EVENTS, [worn]).onto == "first", "rather a few items than other axes"


def test_without_an_older_one_the_axes_stay_as_they_fall():
    assert choose_turn(IDS, VECTORS, EVENTS, []) is None
    narrow = reference("narrow", range(30))
    narrow.content = narrow.content[:, :2]
    assert choose_turn(IDS, VECTORS, EVENTS, [narrow]) is None


def test_what_is_kept_in_the_manifest_is_json():
    found = choose_turn(IDS, VECTORS, EVENTS, [reference("old", range(30))])
    assert found.to_dict() == {
        "onto": "old",
        "basis": "old",
        "event_share": 1.0,
        "residuals": {"content": 0.0, "collaborative": 0.0},
    }
