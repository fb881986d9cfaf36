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

user_encoder_v1 = FeatureService(
    name="user_encoder_v1",
    features=[user_profile, user_activity, user_taste, user_onboarding],
    description="Blocks of the shared user representation.",
)
matching_v1 = FeatureService(
    name="matching_v1",
    features=[user_embedding, user_history],
    description="A user's vector and latest interactions.",
)
items_v1 = FeatureService(
    name="items_v1",
    features=[item_profile, item_popularity],
    description="What is declared and counted of an item.",
)
