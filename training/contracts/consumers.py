"""Name the consumer models that a promotion waits for; DAGs, jobs and serving all read this one line."""

from __future__ import annotations

REQUIRED_CONSUMERS = ("matching",)
"""A space goes live only with a model of each of these, unless the consumer is pinned to another space."""
