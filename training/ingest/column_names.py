"""Guess which source column holds which contract column, from the names that public data sets use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from training.contracts.columns import RAW_TABLES

ARRIVED_ON = "arrived_on"
"""Not of the contract: the day under which an import puts a row, where the source tells."""
_SYNONYMS: dict[str, dict[str, str]] = {
    "interactions": {
        "user_id": "user uid userid reviewerid customerid visitorid memberid accountid profileid",
        "item_id": "item iid itemid asin parentasin productid product movieid articleid sku trackid videoid newsid",
        "occurred_at": "timestamp ts time datetime eventtime unixreviewtime createdat date day tdat ratedat",
        "event_type": "event type action behavior behaviour interaction",
        "event_value": "rating score value overall stars ratingscore price playtime",
        "session_id": "session sessionid",
        "surface": "channel page placement",
        ARRIVED_ON: "arrivedat arrivalday ingestedat receivedat",
    },
    "users": {
        "user_id": "user uid userid reviewerid customerid id",
        "signed_up_at": "signupat signedup signup registeredat registered createdat joinedat",
        "country": "countrycode location",
        "language": "lang locale",
        "age_band": "age agegroup",
        "gender": "sex",
        "occupation": "job profession",
        "onboarding_item_ids": "onboardingitems pickeditems",
        "onboarding_categories": "onboardingtopics pickedcategories",
    },
    "items": {
        "item_id": "item iid itemid asin parentasin productid movieid articleid sku id",
        "category": "categories genre genres class maincategory salestype",
        "subcategory": "subgenre subcategories producttype",
        "title": "movietitle name productname itemname",
        "created_at": "releasedat published publishedat addedat",
        "attributes": "tags",
    },
}
FILE_STEMS: dict[str, tuple[str, ...]] = {
    "interactions": ("interactions", "interaction", "events", "ratings", "reviews", "logs", "log", "clicks", "train"),
    "users": ("users", "user", "customers", "people", "profiles"),
    "items": ("items", "item", "products", "movies", "articles", "catalog", "catalogue"),
}
"""Names, without ending, that a table's file may have in a folder."""


def guess(table: str, source_names: Iterable[str], named: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return contract name by source name for the columns of one table.

    Args:
        table: interactions, users or items.
        source_names: Columns of the source, in its order; of two that fit, the better known name wins.
        named: Source name by contract name, as the column map gives it; these are not guessed.

    Returns:
        The contract name of each source column that has one.
    """
    found = {source: target for target, source in (named or {}).items()}
    free = [name for name in source_names if name not in found]
    targets = {column.name: "" for column in RAW_TABLES[table].columns} | _SYNONYMS[table]
    for target, synonyms in targets.items():
        if target in found.values():
            continue
        for wanted in (_plain(target), *synonyms.split()):
            match = next((name for name in free if _plain(name) == wanted), None)
            if match is not None:
                found[match] = target
                free.remove(match)
                break
    return found


def is_known(table: str, name: str) -> bool:
    """Return whether a name is one that public data sets, or the contract, use for a column of a table."""
    plain = _plain(name)
    contract = {_plain(column.name) for column in RAW_TABLES[table].columns}
    return bool(plain) and plain in contract.union(*(words.split() for words in _SYNONYMS[table].values()))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
