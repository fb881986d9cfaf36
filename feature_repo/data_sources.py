"""Where each feature view reads its complete daily snapshots; a glob may match nothing yet."""

from feast import FileSource
from feast.data_format import ParquetFormat

from training.contracts.columns import EVENT_TIMESTAMP
from training.settings import Settings

HOME = Settings.from_env().home


def snapshots(name: str, description: str, layout: str) -> FileSource:
    """Return the Parquet snapshots below the home that `layout` names."""
    return FileSource(
        name=f"{name}_snapshots",
        path=str(HOME / layout / "dt=*" / "part-0.parquet"),
        file_format=ParquetFormat(),
        timestamp_field=EVENT_TIMESTAMP,
        description=description,
    )


user_profile_source = snapshots("user_profile", "dbt model user_profile_features", "features/user_profile")
user_activity_source = snapshots("user_activity", "dbt model user_activity_features", "features/user_activity")
user_history_source = snapshots("user_history", "dbt model user_history_features", "features/user_history")
item_popularity_source = snapshots("item_popularity", "dbt model item_popularity_features", "features/item_popularity")
item_profile_source = snapshots("item_profile", "dbt model item_profile_features", "features/item_profile")
user_taste_source = snapshots(
    "user_taste", "Pooled from dbt model fct_interactions", "features/user_taste/item_space=*"
)
user_onboarding_source = snapshots(
    "user_onboarding", "Pooled from dbt model user_profile_features", "features/user_onboarding/item_space=*"
)
user_embedding_source = snapshots(
    "user_embedding", "Encoded from feature service user_encoder_v1", "embeddings/space=*"
)
