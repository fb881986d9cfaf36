"""What a lookup gives back: vectors, and what holds for all of them. Numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from training.arrays import Floats


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What holds for all that one snapshot answers.

    Attributes:
        space_id: The space of every vector; never compare them with vectors of another.
        frame: The frame that they were turned into, comparable over spaces; empty for the space's own.
        partition: The day that the snapshot is of.
        as_of: Exclusive upper bound of what the vectors know.
        age: From `as_of` to the moment of the answer.
        stale: Whether the age exceeds the configured one.
    """

    space_id: str
    partition: str
    as_of: datetime
    age: timedelta
    stale: bool
    frame: str = ""


@dataclass(frozen=True, kw_only=True)
class Embeddings(Standing):
    """What a lookup found.

    Attributes:
        user_ids: The known users among those asked for, in the order asked.
        vectors: float32 [n, Z], row i is that of `user_ids[i]`.
        unknown: The users that the snapshot does not hold.
        virtual: Those without history: the encoder read their profile, their picks and imagined behaviour.
        fresh: Those whose events after `as_of` their vector knows, with the time of the newest.
    """

    user_ids: tuple[str, ...]
    vectors: Floats
    unknown: tuple[str, ...]
    virtual: tuple[str, ...] = ()
    fresh: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FramedItems(Standing):
    """Items as the readers of `frame` know them; `space_id` is the space whose item vectors were turned.

    Attributes:
        item_ids: The known items among those asked for, in the order asked; all of them where none was named.
        vectors: float32 [n, E], row i is that of `item_ids[i]`, collaborative half first.
        unknown: The items that the snapshot does not hold.
    """

    item_ids: tuple[str, ...]
    vectors: Floats
    unknown: tuple[str, ...]
