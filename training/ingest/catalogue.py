"""Describe a simulated world's users and items as their producers would send them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from training.ingest.conversion import STRINGS, TIMESTAMP
from training.ingest.world import Floats, Ints, World

CATEGORIES = [
    "books",
    "music",
    "films",
    "games",
    "kitchen",
    "garden",
    "sports",
    "travel",
    "beauty",
    "fashion",
    "electronics",
    "toys",
    "pets",
    "crafts",
    "health",
    "office",
]
_KINDS = ("classic", "modern", "compact", "premium")
_WORDS = ("North", "River", "Amber", "Quiet", "Bright", "Stone", "Velvet", "Copper", "Silver", "Wild", "Paper", "Cloud")
_COUNTRIES = ("US", "DE", "FR", "BR", "JP", "IN")
_LANGUAGES = ("en", "de", "fr", "pt", "ja", "hi")
_AGE_BANDS = ("18-24", "25-34", "35-44", "45-49", "50-55", "56+")
_OCCUPATIONS = ("student", "engineer", "teacher", "nurse", "manager", "artist", "retired", "other")
_NUM_PICKS = 3
_SHARE_ONBOARDED = 0.85
_SHARE_UPDATED = 0.03


def user_ids(world: World) -> list[str]:
    """Return external user ids in the world's order."""
    return [f"u{n:05d}" for n in range(world.config.num_users)]


def item_ids(world: World) -> list[str]:
    """Return external item ids in the world's order."""
    return [f"i{n:05d}" for n in range(world.config.num_items)]


def category(cluster: int) -> str:
    """Return the category name of a cluster."""
    name = CATEGORIES[cluster % len(CATEGORIES)]
    return name if cluster < len(CATEGORIES) else f"{name}-{cluster // len(CATEGORIES) + 1}"


def prices(world: World) -> Floats:
    """Return a price [I] that follows the item's first trait."""
    return np.asarray(np.round(np.exp(3.0 + 0.5 * world.traits_IF[:, 0]), 2), dtype=np.float64)


def item_table(world: World) -> pa.Table:
    """Return items in contract columns with `arrival_day`: the day they appear, 0 for those that exist before."""
    names = [category(c) for c in world.cluster_I]
    kinds = [f"{name}/{_KINDS[k % len(_KINDS)]}" for name, k in zip(names, world.subcategory_I, strict=True)]
    words = [_WORDS[n % len(_WORDS)] for n in np.argsort(np.argsort(world.traits_IF[:, 0]))]
    titles = [f"{word} {kind.replace('/', ' ')} {n}" for n, (word, kind) in enumerate(zip(words, kinds, strict=True))]
    bands = pd.qcut(prices(world), 4, labels=["low", "medium", "high", "luxury"], duplicates="drop")
    brands = np.argmax(world.traits_IF, axis=1)
    attributes = [[f"brand=b{brand}", f"price={band}"] for brand, band in zip(brands, bands, strict=True)]
    return pa.table(
        {
            "item_id": item_ids(world),
            "category": names,
            "subcategory": kinds,
            "title": titles,
            "created_at": _midnight(world, world.created_I),
            "attributes": pa.array(attributes, STRINGS),
            "arrival_day": np.maximum(world.created_I, 0),
        }
    )


def user_table(world: World, rng: np.random.Generator) -> pa.Table:
    """Return users in contract columns with `arrival_day`: sign-up (0 for older users), and later changes of some."""
    frame = _profiles(world, rng)
    later = frame.sample(frac=_SHARE_UPDATED, random_state=rng).assign(
        language="en", arrival_day=lambda rows: rows["arrival_day"] + world.config.num_days // 2
    )
    both = pd.concat([frame, later[later["arrival_day"] < world.config.num_days]], ignore_index=True)
    both = both.sort_values(["arrival_day", "user_id"], ignore_index=True)
    table = pa.Table.from_pandas(both.drop(columns=["signup", "picks", "topics"]), preserve_index=False)
    return (
        table.replace_schema_metadata(None)
        .append_column("signed_up_at", _midnight(world, both["signup"].to_numpy()))
        .append_column("valid_from", _midnight(world, both["arrival_day"].to_numpy()))
        .append_column("onboarding_item_ids", pa.array(both["picks"].tolist(), STRINGS))
        .append_column("onboarding_categories", pa.array(both["topics"].tolist(), STRINGS))
    )


def _profiles(world: World, rng: np.random.Generator) -> pd.DataFrame:
    size = world.config.num_users
    home = rng.random(size) < 0.85
    picks, topics = _onboarding(world, rng)
    return pd.DataFrame(
        {
            "user_id": user_ids(world),
            "country": np.array(_COUNTRIES)[world.country_U],
            "language": np.where(home, np.array(_LANGUAGES)[world.country_U], "en"),
            "age_band": np.array(_AGE_BANDS)[world.age_U],
            "gender": rng.choice(np.array(["F", "M", None], dtype=object), size=size, p=[0.46, 0.46, 0.08]),
            "occupation": rng.choice(np.array(_OCCUPATIONS, dtype=object), size=size),
            "signup": world.signup_U,
            "picks": picks,
            "topics": topics,
            "arrival_day": np.maximum(world.signup_U, 0),
        }
    )


def _onboarding(world: World, rng: np.random.Generator) -> tuple[list[list[str]], list[list[str]]]:
    """Items and categories picked at sign-up by true preference; some users skip it."""
    names = np.array(item_ids(world), dtype=object)
    onboarded_U = rng.random(world.config.num_users) < _SHARE_ONBOARDED
    picks: list[list[str]] = [[] for _ in onboarded_U]
    topics: list[list[str]] = [[] for _ in onboarded_U]
    for day in np.unique(np.maximum(world.signup_U, 0)):
        users = np.flatnonzero((np.maximum(world.signup_U, 0) == day) & onboarded_U)
        items_UP = _without_replacement(world.preferences(int(day), users), _NUM_PICKS, rng)
        clusters_UP = _without_replacement(world.interests(int(day))[users], 2, rng)
        for user, items, clusters in zip(users, items_UP, clusters_UP, strict=True):
            picks[user] = names[items].tolist()
            topics[user] = [category(c) for c in clusters]
    return picks, topics


def _without_replacement(share: Floats, num: int, rng: np.random.Generator) -> Ints:
    with np.errstate(divide="ignore"):
        keys = np.log(share) + rng.gumbel(size=share.shape)
    return np.argsort(-keys, axis=1)[:, :num]


def _midnight(world: World, days: Ints) -> pa.Array:
    start = int(world.config.first.starts_at.timestamp()) * 1_000_000
    return pa.array(start + np.asarray(days, dtype=np.int64) * 86_400_000_000).cast(TIMESTAMP)
