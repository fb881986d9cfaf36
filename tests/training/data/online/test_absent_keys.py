"""What a newest snapshot no longer holds is gone online, on SQLite and the Redis protocol; all else stays."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.training.data.test_feature_store import (
    DAY1,
    DAY2,
    ITEM_SPACE,
    online,
    redis_address,
    write_embedding,
)
from training.contracts.columns import ITEM_PROFILE, USER_ACTIVITY, USER_PROFILE, USER_TASTE
from training.data import feature_store
from training.settings import Settings
from training.storage import write_parquet

__all__ = ["online", "redis_address"]
pytestmark = pytest.mark.integration
OTHER_SPACE = "20260101-dddddddd"


def without(path: Path, column: str, value: str) -> None:
    rows = pq.ParquetFile(path).read()
    write_parquet(rows.filter(pc.not_equal(rows[column], value)), path)


def served(settings: Settings, feature: str, **keys: str) -> list[object]:
    """Return a feature as it is served to 0 and 1 of the owner, e.g. u0 and u1."""
    owner = "item_id" if feature.startswith("item") else "user_id"
    rows = [{**keys, owner: f"{owner[0]}{number}"} for number in range(2)]
    found = feature_store.feature_store(settings).get_online_features([feature], rows).to_dict()
    return list(found[feature.partition(":")[2]])


def test_a_user_whom_the_day_no_longer_holds_is_gone_from_that_view_alone(online: Settings) -> None:
    feature_store.materialise(online, DAY2, ["user_profile", "user_activity"])
    without(feature_store.snapshot_files(online, USER_PROFILE.name, DAY2)[""], "user_id", "u1")
    feature_store.materialise(online, DAY2, ["user_profile"])
    assert served(online, "user_profile:tenure_days") == [2, None]
    assert served(online, "user_activity:count_events_all") == [2, 2]
    without(feature_store.snapshot_files(online, USER_ACTIVITY.name, DAY2)[""], "user_id", "u1")
    feature_store.materialise(online, DAY2, ["user_activity"])
    assert served(online, "user_activity:count_events_all") == [2, None]


def test_an_item_goes_likewise_and_with_a_later_day(online: Settings) -> None:
    feature_store.materialise(online, DAY1, ["item_profile", "item_popularity"])
    without(feature_store.snapshot_files(online, ITEM_PROFILE.name, DAY2)[""], "item_id", "i0")
    feature_store.materialise(online, DAY2, ["item_profile"])
    assert served(online, "item_profile:category") == [None, "FI"]
    assert served(online, "item_popularity:count_users_all") == [1, 1]


@pytest.mark.parametrize("view", [USER_TASTE.name, "user_embedding"])
def test_rows_of_another_space_stay(online: Settings, view: str) -> None:
    if view == "user_embedding":
        write_embedding(online, OTHER_SPACE, DAY2, 7.0)
        feature, key, spaces = "user_embedding:vector", "space_id", ("20260101-bbbbbbbb", OTHER_SPACE)
    else:
        feature, key, spaces = "user_taste:count_taste_7d", "item_space_id", (ITEM_SPACE, OTHER_SPACE)
        source = feature_store.snapshot_files(online, view, DAY2)[ITEM_SPACE]
        rows = pq.ParquetFile(source).read()
        other = rows.set_column(rows.column_names.index(key), rows.schema.field(key), [[OTHER_SPACE] * rows.num_rows])
        write_parquet(other, online.features_dir(view, DAY2, OTHER_SPACE) / "part-0.parquet")
    feature_store.materialise(online, DAY2, [view])
    first = {space: served(online, feature, **{key: space}) for space in spaces}
    assert all(found[0] is not None for found in first.values())
    without(feature_store.snapshot_files(online, view, DAY2)[spaces[0]], "user_id", "u0")
    feature_store.materialise(online, DAY2, [view])
    assert served(online, feature, **{key: spaces[0]})[0] is None
    assert served(online, feature, **{key: spaces[1]}) == first[spaces[1]]


def test_a_snapshot_without_rows_empties_its_view(online: Settings) -> None:
    feature_store.materialise(online, DAY2, ["user_profile"])
    path = feature_store.snapshot_files(online, USER_PROFILE.name, DAY2)[""]
    write_parquet(pq.ParquetFile(path).read().slice(0, 0), path)
    feature_store.materialise(online, DAY2, ["user_profile"])
    assert served(online, "user_profile:tenure_days") == [None, None]


def test_an_older_day_removes_nobody(online: Settings) -> None:
    feature_store.materialise(online, DAY2, ["user_profile"])
    without(feature_store.snapshot_files(online, USER_PROFILE.name, DAY1)[""], "user_id", "u1")
    feature_store.materialise(online, DAY1, ["user_profile"])
    assert served(online, "user_profile:tenure_days") == [2, 2]
