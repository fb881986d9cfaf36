"""Options that several commands take, and what they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from serving_export.lookup import EmbeddingStore
from training.command_line import PartitionType
from training.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def of_space(command: Command) -> Command:
    """Add `--space`: its argument is `space_id`."""
    text = "read a served space other than the live one"
    return click.option("--space", "space_id", metavar="SPACE", help=text)(command)


def of_consumer(command: Command) -> Command:
    """Add what names whose vectors are ranked and with which pairs: `consumer`, `drop_seen` and `space_id`."""
    text = "whose vectors to rank by"
    seen = "without pairs that have interacted, or with them"
    command = of_space(command)
    command = click.option("--drop-seen/--keep-seen", default=True, show_default=True, help=seen)(command)
    return click.option("--consumer", default="matching", show_default=True, help=text)(command)


def of_partition(command: Command) -> Command:
    """Add `--partition`, which must be given."""
    how: dict[str, Any] = {"type": PartitionType(), "required": True, "metavar": "D", "help": "UTC day, YYYY-MM-DD"}
    return click.option("--partition", **how)(command)


def store(settings: Settings, space_id: str | None) -> EmbeddingStore:
    """Return what the home serves of a space, or of the live one."""
    return EmbeddingStore(settings.published_dir, space_id=space_id, stale_after_days=settings.stale_after_days)
