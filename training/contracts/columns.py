"""Name the columns of every boundary once: raw logs, and the feature tables that dbt builds and Feast serves.

`tests/seams` holds the dbt yml and the Feast fields against these constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "double", "float", "bigint", "timestamp", "strings", "timestamps", "floats"]


@dataclass(frozen=True)
class Column:
    """One column: `timestamp` is UTC with microseconds; a plural kind is a list; `floats` holds float32."""

    name: str
    kind: Kind
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One table with its key; "one row per" the key (and day, for feature tables)."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Every column name in order."""
        return tuple(column.name for column in self.columns)


NULL_IDS = ("", "nan", "NaN", "NULL", "null", "NA", "None", "<NA>")
"""What other tools write for a missing value: as an id they name nobody. Space around them does not count."""
EVENT_TYPES = ("view", "click", "play", "like", "save", "purchase", "rating")
ACTIVITY_WINDOWS_DAYS = (1, 7, 30, 180)
EVENT_TIMESTAMP = "event_timestamp"
"""In every feature table: the partition's `as_of`, which Feast joins on."""

RAW_INTERACTIONS = Table(
    "interactions",
    ("event_id",),
    (
        Column("event_id", "string"),
        Column("user_id", "string"),
        Column("item_id", "string"),
        Column("event_type", "string"),
        Column("event_value", "double", nullable=True),
        Column("occurred_at", "timestamp"),
        Column("session_id", "string", nullable=True),
        Column("surface", "string", nullable=True),
    ),
)
RAW_USERS = Table(
    "users",
    ("user_id", "valid_from"),
    (
        Column("user_id", "string"),
        Column("signed_up_at", "timestamp", nullable=True),
        Column("country", "string", nullable=True),
        Column("language", "string", nullable=True),
        Column("age_band", "string", nullable=True),
        Column("gender", "string", nullable=True),
        Column("occupation", "string", nullable=True),
        Column("onboarding_item_ids", "strings", nullable=True),
        Column("onboarding_categories", "strings", nullable=True),
        Column("valid_from", "timestamp"),
    ),
)
RAW_ITEMS = Table(
    "items",
    ("item_id",),
    (
        Column("item_id", "string"),
        Column("category", "string", nullable=True),
        Column("subcategory", "string", nullable=True),
        Column("title", "string", nullable=True),
        Column("created_at", "timestamp", nullable=True),
        Column("attributes", "strings", nullable=True),
    ),
)
RAW_TABLES = {table.name: table for table in (RAW_INTERACTIONS, RAW_USERS, RAW_ITEMS)}

_KEY_USER = (Column("user_id", "string"), Column(EVENT_TIMESTAMP, "timestamp"))
_KEY_ITEM = (Column("item_id", "string"), Column(EVENT_TIMESTAMP, "timestamp"))

INTERACTIONS = Table(
    "interactions",
    ("event_id",),
    (
        Column("event_id", "string"),
        Column("user_id", "string"),
        Column("item_id", "string"),
        Column("event_type", "string"),
        Column("event_value", "double", nullable=True),
        Column("weight", "double"),
        Column("occurred_at", "timestamp"),
        Column("arrived_at", "timestamp"),
        Column("session_key", "string"),
    ),
)
"""Clean facts, one Parquet partition per *arrival* day: deduplicated, without bots, weighted, sessionised."""

USER_PROFILE = Table(
    "user_profile",
    ("user_id",),
    (
        *_KEY_USER,
        Column("country", "string"),
        Column("language", "string"),
        Column("age_band", "string"),
        Column("gender", "string"),
        Column("occupation", "string"),
        Column("tenure_days", "bigint"),
        Column("onboarding_item_ids", "strings"),
        Column("onboarding_categories", "strings"),
    ),
)
"""Missing text is the literal 'unknown'; missing lists are empty; tenure counts from sign-up or first event."""

USER_ACTIVITY = Table(
    "user_activity",
    ("user_id",),
    (
        *_KEY_USER,
        *(Column(f"count_{e}_{w}d", "bigint") for w in ACTIVITY_WINDOWS_DAYS for e in EVENT_TYPES),
        *(Column(f"count_active_days_{w}d", "bigint") for w in ACTIVITY_WINDOWS_DAYS),
        Column("count_events_all", "bigint"),
        Column("recency_days", "double"),
        Column("count_items_180d", "bigint"),
        Column("count_categories_180d", "bigint"),
        Column("category_entropy_180d", "double"),
        Column("share_night_180d", "double"),
        Column("share_morning_180d", "double"),
        Column("share_afternoon_180d", "double"),
        Column("share_evening_180d", "double"),
        Column("share_weekend_180d", "double"),
        Column("count_sessions_30d", "bigint"),
        Column("session_length_mean_30d", "double"),
    ),
)
USER_HISTORY = Table(
    "user_history",
    ("user_id",),
    (
        *_KEY_USER,
        Column("history_item_ids", "strings"),
        Column("history_occurred_at", "timestamps"),
        Column("history_event_types", "strings"),
    ),
)
"""The last HISTORY_LENGTH interactions, oldest first."""
HISTORY_LENGTH = 200

ITEM_POPULARITY = Table(
    "item_popularity",
    ("item_id",),
    (
        *_KEY_ITEM,
        *(Column(f"count_interactions_{w}d", "bigint") for w in ACTIVITY_WINDOWS_DAYS),
        Column("count_interactions_all", "bigint"),
        Column("count_users_all", "bigint"),
        Column("recency_days", "double"),
    ),
)
ITEM_PROFILE = Table(
    "item_profile",
    ("item_id",),
    (
        *_KEY_ITEM,
        Column("category", "string"),
        Column("subcategory", "string"),
        Column("title", "string"),
        Column("attributes", "strings"),
        Column("age_days", "double"),
    ),
)
DBT_FEATURES = {t.name: t for t in (USER_PROFILE, USER_ACTIVITY, USER_HISTORY, ITEM_POPULARITY, ITEM_PROFILE)}
"""Complete snapshots that dbt builds: model `<name>_features`, exported to `features/<name>/dt=D/`."""

TASTE_WINDOWS_DAYS: dict[str, int | None] = {"7d": 7, "30d": 30, "180d": 180, "all": None}
MODALITIES = ("collaborative", "content")
_KEY_TASTE = (Column("user_id", "string"), Column("item_space_id", "string"), Column(EVENT_TIMESTAMP, "timestamp"))
USER_TASTE = Table(
    "user_taste",
    ("user_id", "item_space_id"),
    (
        *_KEY_TASTE,
        *(Column(f"taste_{m}_{w}", "floats") for m in MODALITIES for w in TASTE_WINDOWS_DAYS),
        *(Column(f"count_taste_{w}", "bigint") for w in TASTE_WINDOWS_DAYS),
    ),
)
"""Mean item vector per modality and window (zeros where the window is empty), with the window's count."""
USER_ONBOARDING = Table(
    "user_onboarding",
    ("user_id", "item_space_id"),
    (
        *_KEY_TASTE,
        *(Column(f"onboarding_{m}", "floats") for m in MODALITIES),
        Column("count_onboarding", "bigint"),
    ),
)
POOLED_FEATURES = {t.name: t for t in (USER_TASTE, USER_ONBOARDING)}
"""Complete snapshots pooled outside SQL: `features/<name>/item_space=<id>/dt=D/`."""

USER_EMBEDDING = Table(
    "user_embedding",
    ("user_id", "space_id"),
    (
        Column("user_id", "string"),
        Column("space_id", "string"),
        Column(EVENT_TIMESTAMP, "timestamp"),
        Column("vector", "floats"),
    ),
)
"""Encoded users: `embeddings/space=<id>/dt=D/part-0.parquet`, sorted by user_id."""
