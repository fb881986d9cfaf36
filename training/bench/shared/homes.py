"""Give a benchmark a home of its own below the caller's: all state inside it, embedded services, the same seed."""

from __future__ import annotations

from training.settings import Settings


def own_home(settings: Settings, *names: str) -> Settings:
    """Return embedded settings whose home is `home/bench/<names>`."""
    folder = settings.home.joinpath("bench", *names)
    return Settings.from_env({"ATTUNE_HOME": str(folder), "ATTUNE_SEED": str(settings.seed)})
