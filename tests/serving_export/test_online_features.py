"""Vectors are answered in Feast's format without Feast, where nothing else is asked for."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.online_features import OnlineFeatures, OnlineRequest
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.frames import frame_of

ASKED = ["user_embedding:vector"]


def packed(world: World, **request: object) -> dict[str, dict[str, list[object]]] | None:
    answer = OnlineFeatures(world.settings).packed(
        OnlineRequest(**request), EmbeddingStore(world.settings.published_dir)
    )
    if answer is None:
        return None
    found = json.loads(answer.body)
    return dict(zip(found["metadata"]["feature_names"], found["results"], strict=True))


def test_rows_of_several_served_spaces_in_the_order_asked(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    entities = {"user_id": ["u05", "u40", "u40", "u05"], "space_id": [second, first, second, first]}
    found = packed(world, features=ASKED, entities=entities)
    assert found["user_id"]["values"] == entities["user_id"]
    store = EmbeddingStore(world.settings.published_dir)
    of_second = store.for_space(second).lookup(["u05", "u40"]).vectors
    of_first = store.for_space(first).lookup(["u05"]).vectors
    expected = [of_second[0], None, of_second[1], of_first[0]]
    for value, vector in zip(found["vector"]["values"], expected, strict=True):
        assert (value is None) if vector is None else (np.float32(value) == vector).all()
    assert found["vector"]["statuses"] == ["PRESENT", "NOT_FOUND", "PRESENT", "PRESENT"]
    times = ["2026-11-03T00:00:00Z", "1970-01-01T00:00:00Z", "2026-11-03T00:00:00Z", "2026-11-02T00:00:00Z"]
    assert found["vector"]["event_timestamps"] == times


def test_a_frame_stands_for_a_space(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    frame = frame_of(first)
    found = packed(world, features=ASKED, entities={"user_id": ["u05", "u05"], "space_id": [frame, second]})
    store = EmbeddingStore(world.settings.published_dir)
    expected = [store.lookup(["u05"], frame=frame).vectors[0], store.lookup(["u05"]).vectors[0]]
    np.testing.assert_array_equal(np.float32(found["vector"]["values"]), expected)


def test_rows_without_any_value_are_counted(world: World) -> None:
    [space_id] = world.promote(DAY1)
    asked = OnlineRequest(features=ASKED, entities={"user_id": ["u05", "nobody", "u99"], "space_id": [space_id] * 3})
    answer = OnlineFeatures(world.settings).packed(asked, EmbeddingStore(world.settings.published_dir))
    assert answer.num_unknown == 2


def test_each_number_tells_the_float32_in_double_precision(world: World) -> None:
    [space_id] = world.promote(DAY1)
    found = packed(world, features=ASKED, entities={"user_id": ["u05"], "space_id": [space_id]})
    vector = EmbeddingStore(world.settings.published_dir).lookup(["u05"]).vectors[0]
    assert found["vector"]["values"] == [vector.tolist()]


def test_full_names_are_feasts(world: World) -> None:
    [space_id] = world.promote(DAY1)
    entities = {"user_id": ["u05"], "space_id": [space_id]}
    assert list(packed(world, features=ASKED, entities=entities, full_feature_names=True)) == [
        "user_id",
        "space_id",
        "user_embedding__vector",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"features": [*ASKED, "user_history:history_item_ids"]},
        {"features": [], "feature_service": "matching_v1"},
        {"entities": {"user_id": ["u05"]}},
        {"entities": {"user_id": ["u05"], "space_id": ["20260101-00000000"]}},
        {"entities": {"user_id": ["u05", "u06"], "space_id": ["x"]}},
    ],
)
def test_all_else_is_left_to_feast(world: World, change: dict[str, object]) -> None:
    [space_id] = world.promote(DAY1)
    request = {"features": ASKED, "entities": {"user_id": ["u05"], "space_id": [space_id]}, **change}
    assert packed(world, **request) is None


def test_before_the_first_promotion_feast_answers(world: World) -> None:
    request = OnlineRequest(features=ASKED, entities={"user_id": ["u05"], "space_id": ["s"]})
    assert OnlineFeatures(world.settings).packed(request, None) is None


def test_packed_vectors_load_no_feast() -> None:
    import subprocess

    code = "import sys, serving_export.http.app; print('feast' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
