"""Answer what Feast's remote online store asks: every feature view and service of ours, in its own format.

Vectors (`user_embedding`) come from the packed snapshot, the rest from Feast's online store through Feast itself. The
packed snapshot is what the pointer names, so that a vector is the same through every door at every moment; the online
store follows it, lies behind between the two writes of a refresh, and never goes back in a rollback. A row that names a
frame as its space has the vector that was turned into it. A space that is not served, such as a candidate, has rows in
the online store alone, and those are answered.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson

from serving_export.lookup import EmbeddingStore
from training.contracts.columns import USER_EMBEDDING
from training.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore

VECTOR = "vector"
_VIEW = USER_EMBEDDING.name
_KEY = USER_EMBEDDING.key
_NEVER = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class OnlineRequest:
    """What is asked: a service or references `view:feature`, for rows of join keys, column by column."""

    entities: dict[str, list[str]]
    features: Sequence[str] = ()
    feature_service: str | None = None
    full_feature_names: bool = False

    @property
    def vectors_alone(self) -> bool:
        """Whether nothing but vectors is asked for, of users and spaces that stand row by row."""
        lengths = {len(column) for column in self.entities.values()}
        asked = self.feature_service is None and list(self.features) == [f"{_VIEW}:{VECTOR}"]
        return asked and set(self.entities) == set(_KEY) and len(lengths) == 1

    @property
    def vector_name(self) -> str:
        """The name under which Feast answers vectors."""
        return f"{_VIEW}__{VECTOR}" if self.full_feature_names else VECTOR


class OnlineAnswer(NamedTuple):
    """The answer as JSON, and how many rows of it have no value at all."""

    body: bytes
    num_unknown: int


class OnlineFeatures:
    """Feast's store of one home, which is loaded when it is first needed, and the packed vectors over it."""

    def __init__(self, settings: Settings) -> None:
        """Remember the home; Feast takes seconds to load, so nothing is done yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._feast: FeatureStore | None = None

    def packed(self, request: OnlineRequest, store: EmbeddingStore | None) -> OnlineAnswer | None:
        """Return the answer as JSON where packed vectors alone give it, None where Feast is needed."""
        if store is None or not request.vectors_alone:
            return None
        columns = _packed_vectors(request, store)
        if any(columns.is_elsewhere):
            return None
        keys = {name: _present(request.entities[name]) for name in _KEY}
        return _answer({**keys, request.vector_name: columns.as_result()}, request)

    def read(self, request: OnlineRequest, store: EmbeddingStore | None) -> OnlineAnswer:
        """Return the answer as JSON, Feast's with the packed vectors in their place.

        An empty list is answered as null with the status of a value: Feast's client cannot read an empty one.

        Args:
            request: What is asked.
            store: What is served; None before the first promotion.

        Raises:
            feast.errors.FeastError: There is no such view, feature or service, or a join key is missing.
        """
        from feast.feature_server_utils import convert_response_to_dict

        feast = self._loaded()
        asked = (
            feast.get_feature_service(request.feature_service, allow_cache=True) if request.feature_service else None
        )
        answer = feast.get_online_features(
            features=asked or list(request.features),
            entity_rows=request.entities,
            full_feature_names=request.full_feature_names,
        )
        found = convert_response_to_dict(answer.proto)
        results = dict(zip(found["metadata"]["feature_names"], found["results"], strict=True))
        for result in results.values():
            result["values"] = [None if value == [] else value for value in result["values"]]
        if store is not None and _holds_vectors(request, asked, results):
            _packed_vectors(request, store).put_into(results[request.vector_name])
        return _answer(results, request)

    def _loaded(self) -> FeatureStore:
        from training.data.feature_store import feature_store

        with self._lock:
            if self._feast is None:
                self._feast = feature_store(self._settings)
            return self._feast


@dataclass(frozen=True, kw_only=True)
class _Vectors:
    """A vector and its time per row, both None for an unknown user; `is_elsewhere` where the space is not served."""

    values: list[Any]
    as_of: list[datetime | None]
    is_elsewhere: list[bool]

    def as_result(self) -> dict[str, list[Any]]:
        """Return the column as Feast answers one."""
        return {
            "values": self.values,
            "statuses": ["NOT_FOUND" if value is None else "PRESENT" for value in self.values],
            "event_timestamps": [_NEVER if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in self.as_of],
        }

    def put_into(self, result: dict[str, list[Any]]) -> None:
        """Replace the rows of a column of Feast's whose space is served."""
        own = self.as_result()
        for name, column in own.items():
            result[name] = [
                theirs if elsewhere else ours
                for ours, theirs, elsewhere in zip(column, result[name], self.is_elsewhere, strict=True)
            ]


def _packed_vectors(request: OnlineRequest, store: EmbeddingStore) -> _Vectors:
    """Return each row's vector; float64, in which Feast tells the float32 that it holds."""
    users, spaces = (request.entities[name] for name in _KEY)
    values: list[Any] = [None] * len(users)
    as_of: list[datetime | None] = [None] * len(users)
    frames = store.pointer.frames
    served = {entry.space_id for entry in store.pointer.snapshots} | set(frames)
    for name in served.intersection(spaces):
        asked = [row for row, asked_of in enumerate(spaces) if asked_of == name]
        space_id, frame = (None, name) if name in frames else (name, None)
        asked_users = [users[row] for row in asked]
        found = store.for_space(space_id).lookup(asked_users, on_unknown="ignore", frame=frame)
        unknown = set(found.unknown)
        known = (row for row in asked if users[row] not in unknown)
        for row, vector in zip(known, found.vectors.astype(np.float64), strict=True):
            values[row], as_of[row] = vector, found.as_of
    return _Vectors(values=values, as_of=as_of, is_elsewhere=[name not in served for name in spaces])


def _holds_vectors(request: OnlineRequest, service: Any, results: dict[str, Any]) -> bool:
    """Return whether the column named as vectors are is theirs, and the rows say whose they are."""
    asked = f"{_VIEW}:{VECTOR}" in request.features or (
        service is not None and any(view.name == _VIEW for view in service.feature_view_projections)
    )
    return asked and request.vector_name in results and set(_KEY) <= set(request.entities)


def _present(keys: list[str]) -> dict[str, list[Any]]:
    """Return a column of join keys as Feast answers it."""
    return {"values": keys, "statuses": ["PRESENT"] * len(keys), "event_timestamps": [_NEVER] * len(keys)}


def _answer(results: dict[str, dict[str, list[Any]]], request: OnlineRequest) -> OnlineAnswer:
    answer = {"metadata": {"feature_names": list(results)}, "results": list(results.values())}
    statuses = [column["statuses"] for name, column in results.items() if name not in request.entities]
    num_unknown = sum(set(row) == {"NOT_FOUND"} for row in zip(*statuses, strict=True))
    return OnlineAnswer(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), num_unknown)
