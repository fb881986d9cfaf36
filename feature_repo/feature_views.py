"""What is known of users and items, one view per snapshot table; the contract names the columns."""

from datetime import timedelta

import data_sources as sources
from entities import item, item_space, space, user
from feast import Entity, FeatureView, Field, FileSource
from feast.types import Array, Float32, Float64, Int64, String, UnixTimestamp

from training.contracts import columns
from training.contracts.columns import EVENT_TIMESTAMP, Table

TYPES = {
    "string": String,
    "double": Float64,
    "float": Float32,
    "bigint": Int64,
    "timestamp": UnixTimestamp,
    "strings": Array(String),
    "timestamps": Array(UnixTimestamp),
    "floats": Array(Float32),
}
SNAPSHOT_TTL = timedelta(days=2)


def view(table: Table, source: FileSource, *entities: Entity) -> FeatureView:
    """Return the view of one snapshot table: every column but the timestamp."""
    return FeatureView(
        name=table.name,
        entities=list(entities),
        ttl=SNAPSHOT_TTL,
        schema=[Field(name=c.name, dtype=TYPES[c.kind]) for c in table.columns if c.name != EVENT_TIMESTAMP],
        source=source,
        tags={"source": source.description},
    )


user_profile = view(columns.USER_PROFILE, sources.user_profile_source, user)
user_activity = view(columns.USER_ACTIVITY, sources.user_activity_source, user)
user_history = view(columns.USER_HISTORY, sources.user_history_source, user)
user_taste = view(columns.USER_TASTE, sources.user_taste_source, user, item_space)
user_onboarding = view(columns.USER_ONBOARDING, sources.user_onboarding_source, user, item_space)
user_embedding = view(columns.USER_EMBEDDING, sources.user_embedding_source, user, space)
item_popularity = view(columns.ITEM_POPULARITY, sources.item_popularity_source, item)
item_profile = view(columns.ITEM_PROFILE, sources.item_profile_source, item)
