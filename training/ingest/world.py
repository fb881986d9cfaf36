"""Draw the world that the simulator logs: items in clusters, users with several interests that drift.

P(item | user, day) = (1 - noise) · Σ_c share_c(user, day) · P(item | c, user, day) + noise · P(item | day), with
P(item | c, user, day) ∝ exp(appeal_item + freshness(age) + <taste_user, traits_item>) over the items of c that exist.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.contracts.artefacts import Artefact
from training.contracts.errors import MissingArtefact
from training.contracts.partitions import Partition
from training.storage import replace_file, write_json

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
NUM_COUNTRIES = 6
NUM_AGE_BANDS = 6
SUBCATEGORIES_PER_CATEGORY = 4
_MAX_INTERESTS = 4
_DRIFT_WIDTH_DAYS = 3.0
_FRESHNESS = 0.8
_FRESHNESS_DAYS = 7.0


@dataclass(frozen=True, kw_only=True)
class WorldConfig(Artefact):
    """How large the world is and how much of it is structure.

    Attributes:
        num_users: People, without bots.
        num_items: Items, those that appear during the log included.
        num_days: Days of log.
        last_day: ISO date of the last one.
        num_clusters: Item clusters; each is a category.
        num_traits: Width of the traits that users differ in within a cluster.
        share_new_items: Items that appear during the log.
        share_cold_users: Users that sign up during the log.
        appeal_spread: Standard deviation of the items' log-popularity: the long tail.
        taste_spread: Standard deviation of <taste, traits>: how much users differ within a cluster.
        noise: Share of events that follow popularity alone.
    """

    num_users: int = 2000
    num_items: int = 800
    num_days: int = 40
    last_day: str = "2026-11-08"
    num_clusters: int = 12
    num_traits: int = 8
    share_new_items: float = 0.15
    share_cold_users: float = 0.25
    appeal_spread: float = 1.2
    taste_spread: float = 1.2
    noise: float = 0.08

    @property
    def first(self) -> Partition:
        """The first day of the log."""
        return Partition(date.fromisoformat(self.last_day)).shift(1 - self.num_days)

    def day_number(self, partition: Partition) -> int:
        """Return a day's number, counted from 0 at the first day of the log."""
        return (partition.day - self.first.day).days


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything that decides who likes what. Shape suffixes: U users, I items, C clusters, F traits.

    Attributes:
        config: Its size.
        cluster_I: Cluster of each item.
        subcategory_I: Subcategory of each item, within its cluster.
        appeal_I: Log-popularity within the cluster.
        created_I: Day number on which the item appears; not above 0 for old ones.
        traits_IF: Item traits.
        taste_UF: User tastes.
        before_UC: Interest shares before the user's drift; rows sum to 1.
        after_UC: Interest shares after it.
        drift_U: Day number at the middle of the drift.
        signup_U: Day number of sign-up; below 0 for old users.
        country_U: Country number, which tilts interests.
        age_U: Age band number, which tilts interests.
    """

    config: WorldConfig
    cluster_I: Ints
    subcategory_I: Ints
    appeal_I: Floats
    created_I: Ints
    traits_IF: Floats
    taste_UF: Floats
    before_UC: Floats
    after_UC: Floats
    drift_U: Floats
    signup_U: Ints
    country_U: Ints
    age_U: Ints

    def interests(self, day: int) -> Floats:
        """Return interest shares [U, C] on a day."""
        weight_U1 = 1.0 / (1.0 + np.exp(-(day - self.drift_U) / _DRIFT_WIDTH_DAYS))[:, None]
        mixed: Floats = (1 - weight_U1) * self.before_UC + weight_U1 * self.after_UC
        return mixed

    def appeal(self, day: int) -> Floats:
        """Return the log-popularity [I] on a day, freshness included; -inf for items that do not exist yet."""
        age_I = day - self.created_I
        fresh_I = _FRESHNESS * np.exp(-np.maximum(age_I, 0) / _FRESHNESS_DAYS)
        return np.where(age_I >= 0, self.appeal_I + fresh_I, -np.inf)

    def within_clusters(self, day: int, users: Ints) -> Floats:
        """Return P(item | its cluster, user, day) [len(users), I]; the items of each cluster sum to 1."""
        weight_UI = np.exp(self.appeal(day)[None, :] + self.taste_UF[users] @ self.traits_IF.T)
        total_UC = weight_UI @ np.eye(self.config.num_clusters)[self.cluster_I]
        share_UI: Floats = weight_UI / np.maximum(total_UC, 1e-300)[:, self.cluster_I]
        return share_UI

    def popularity(self, day: int) -> Floats:
        """Return P(item | day) [I] of an event that follows popularity alone."""
        weight_I = np.exp(self.appeal(day))
        return np.asarray(weight_I / weight_I.sum())

    def preferences(self, day: int, users: Ints | None = None) -> Floats:
        """Return P(item | user, day) [U, I]; rows sum to 1 up to interests in clusters without items yet."""
        chosen = np.arange(self.config.num_users) if users is None else users
        interest_UI = self.interests(day)[chosen][:, self.cluster_I]
        noise = self.config.noise
        mixed: Floats = (1 - noise) * interest_UI * self.within_clusters(day, chosen) + noise * self.popularity(day)
        return mixed

    def save(self, folder: Path) -> None:
        """Write the world to `folder`, which `load` reads; equal worlds give equal bytes."""
        write_json(asdict(self.config), folder / "config.json")
        for name in _ARRAYS:
            with replace_file(folder / f"{name}.npy") as path, path.open("wb") as file:
                np.save(file, getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> World:
        """Return the world that `save` wrote.

        Raises:
            MissingArtefact: There is none.
        """
        if not (folder / "config.json").is_file():
            raise MissingArtefact(f"expected a simulated world in {folder}, found none; run the job simulate_logs")
        config = WorldConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        return cls(config=config, **{name: np.load(folder / f"{name}.npy") for name in _ARRAYS})


_ARRAYS = tuple(name for name in World.__dataclass_fields__ if name != "config")


def draw_world(config: WorldConfig, rng: np.random.Generator) -> World:
    """Return a random world.

    Args:
        config: Its size.
        rng: Source of every draw.
    """
    cluster_I = np.sort(rng.integers(config.num_clusters, size=config.num_items))
    cluster_I[: config.num_clusters] = np.arange(config.num_clusters)
    cluster_I = np.sort(cluster_I)
    subcategory_I = rng.integers(SUBCATEGORIES_PER_CATEGORY, size=config.num_items)
    centres = rng.normal(size=(config.num_clusters, SUBCATEGORIES_PER_CATEGORY, config.num_traits))
    traits_IF = 0.8 * centres[cluster_I, subcategory_I] + 0.6 * rng.normal(size=(config.num_items, config.num_traits))
    is_new_I = rng.random(config.num_items) < config.share_new_items
    old_I, new_I = -rng.integers(1, 400, config.num_items), rng.integers(1, config.num_days, config.num_items)
    is_cold_U = rng.random(config.num_users) < config.share_cold_users
    before_U, during_U = -rng.integers(1, 700, config.num_users), rng.integers(0, config.num_days, config.num_users)
    country_U = rng.choice(NUM_COUNTRIES, size=config.num_users, p=_country_shares())
    age_U = rng.integers(NUM_AGE_BANDS, size=config.num_users)
    tilt_UC = (
        0.8 * rng.normal(size=(NUM_COUNTRIES, config.num_clusters))[country_U]
        + 0.8 * rng.normal(size=(NUM_AGE_BANDS, config.num_clusters))[age_U]
    )
    before_UC = _draw_interests(tilt_UC, rng)
    moved_UC = _draw_interests(tilt_UC, rng)
    return World(
        config=config,
        cluster_I=cluster_I,
        subcategory_I=subcategory_I,
        appeal_I=config.appeal_spread * rng.normal(size=config.num_items),
        created_I=np.where(is_new_I, new_I, old_I),
        traits_IF=traits_IF,
        taste_UF=rng.normal(size=(config.num_users, config.num_traits))
        * (config.taste_spread / np.sqrt(config.num_traits)),
        before_UC=before_UC,
        after_UC=0.5 * before_UC + 0.5 * moved_UC,
        drift_U=rng.uniform(0, 2 * config.num_days, config.num_users),
        signup_U=np.where(is_cold_U, during_U, before_U),
        country_U=country_U,
        age_U=age_U,
    )


def _country_shares() -> Floats:
    share = 1.0 / np.arange(1, NUM_COUNTRIES + 1)
    return np.asarray(share / share.sum())


def _draw_interests(tilt_UC: Floats, rng: np.random.Generator) -> Floats:
    """Two to four clusters per user, drawn by tilt, with Dirichlet shares."""
    num_users, num_clusters = tilt_UC.shape
    count_U = np.minimum(rng.integers(2, _MAX_INTERESTS + 1, num_users), num_clusters)
    rank_UC = np.argsort(np.argsort(-(tilt_UC + rng.gumbel(size=tilt_UC.shape)), axis=1), axis=1)
    weight_UC = np.where(rank_UC < count_U[:, None], rng.gamma(2.0, size=tilt_UC.shape) + 0.2, 0.0)
    return np.asarray(weight_UC / weight_UC.sum(axis=1, keepdims=True))
