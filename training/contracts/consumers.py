"""Name the consumer models; DAGs, Feast services, jobs and serving all follow from this one line."""

from __future__ import annotations

REQUIRED_CONSUMERS = ("matching", "cold_start", "multi_interest")
"""Each is the module `training.recipes.<name>`, whose `CONSUMER` is its recipe. A space goes live only with a model of
each, unless the consumer is pinned to another space."""

FOR_USERS_WITHOUT_HISTORY = "cold_start"
"""Answers `recommend` and `rank` in the others' place for users of whom nothing but attributes is known."""
