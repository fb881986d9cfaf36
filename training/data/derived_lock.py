"""Keep derived files (pooled taste, its sums, embeddings) in place while something reads them.

They are removed once no space needs them. Feast opens whole globs, so a folder that goes between listing and opening
fails every reader, of whichever space; and taste that goes between pooling and reading would be read as nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from training.settings import Settings
from training.storage import exclusive, try_lock

P = ParamSpec("P")
R = TypeVar("R")


def reads_derived(function: Callable[Concatenate[Settings, P], R]) -> Callable[Concatenate[Settings, P], R]:
    """Return `function` such that nothing derived is removed while it runs; calls may nest and run side by side."""

    @wraps(function)
    def kept(settings: Settings, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with exclusive(_lock_path(settings), shared=True):
            return function(settings, *args, **kwargs)

    return kept


@contextmanager
def free_to_remove(settings: Settings) -> Iterator[bool]:
    """Yield whether nothing is being read; readers that come during the block wait for its end.

    It never waits itself, so it cannot be in the way of a publishing lock: what is not removed now is removed later.
    """
    with _lock_path(settings).open("a") as file:
        yield try_lock(file)


def _lock_path(settings: Settings) -> Path:
    settings.home.mkdir(parents=True, exist_ok=True)
    return settings.home / ".derived.lock"
