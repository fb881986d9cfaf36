"""Name the consumer models; DAGs, Feast services, jobs and serving all follow from these lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Presence = Literal["required", "may be absent"]

CONSUMERS: Mapping[str, Presence] = {
    "matching": "required",
    "cold_start": "may be absent",
    "multi_interest": "may be absent",
}
"""Each is a module or package `training.consumers.<name>` with a `CONSUMER`. A space goes live once each has a model of
it, unless the consumer is pinned to another space. Where the log gives one that "may be absent" nothing to learn from,
the space goes live without it; a model that its gate refused holds the space back either way."""

FOR_USERS_WITHOUT_HISTORY = "cold_start"
"""Answers `recommend` and `rank` in the others' place for users of whom nothing but attributes is known."""

POPULARITY = "popularity"
"""Whose answer it is where a snapshot lacks that consumer: the most popular items. No consumer has this name."""


def may_be_absent(consumer: str) -> bool:
    """Return whether a space may go live without a consumer; one that is not declared may not."""
    return CONSUMERS.get(consumer) == "may be absent"
