"""What each model version reads; a model that needs other features gets a service of a new version."""

from feast import FeatureService
from feature_views import (
    item_popularity,
    item_profile,
    user_activity,
    user_embedding,
    user_history,
    user_onboarding,
    user_profile,
    user_taste,
)

from training.contracts.consumers import CONSUMERS

user_encoder_v1 = FeatureService(
    name="user_encoder_v1",
    features=[user_profile, user_activity, user_taste, user_onboarding],
    description="Blocks of the shared user representation.",
)
OTHER_FEATURES = {"cold_start": [user_embedding, user_profile, user_onboarding]}
"""Views of the consumers that read something else than a user's vector and latest interactions."""
globals().update(
    {
        f"{consumer}_v1": FeatureService(
            name=f"{consumer}_v1",
            features=OTHER_FEATURES.get(consumer, [user_embedding, user_history]),
            description=f"What the consumer {consumer} reads of a user.",
        )
        for consumer in CONSUMERS
    }
)
items_v1 = FeatureService(
    name="items_v1",
    features=[item_profile, item_popularity],
    description="What is declared and counted of an item.",
)
