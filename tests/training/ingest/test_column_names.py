from __future__ import annotations

from training.ingest.column_names import guess


def test_names_of_public_sets_are_known() -> None:
    assert guess("interactions", ["userId", "movieId", "rating", "timestamp"]) == {
        "userId": "user_id",
        "movieId": "item_id",
        "rating": "event_value",
        "timestamp": "occurred_at",
    }
    assert guess("items", ["id", "Genres"]) == {"id": "item_id", "Genres": "category"}


def test_the_contract_name_wins_over_a_synonym() -> None:
    assert guess("interactions", ["user", "user_id"]) == {"user_id": "user_id"}


def test_named_columns_are_not_guessed_again() -> None:
    found = guess("interactions", ["user", "buyer", "item"], {"user_id": "buyer"})
    assert found == {"buyer": "user_id", "item": "item_id"}
