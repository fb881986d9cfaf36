import pytest

from training.contracts import columns

TABLES = [
    *columns.RAW_TABLES.values(),
    *columns.DBT_FEATURES.values(),
    *columns.POOLED_FEATURES.values(),
    columns.INTERACTIONS,
    columns.USER_EMBEDDING,
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_keys_are_required_columns_and_names_are_unique(table: columns.Table) -> None:
    required = {column.name for column in table.columns if not column.nullable}
    assert set(table.key) <= required
    assert len(set(table.column_names)) == len(table.columns)


@pytest.mark.parametrize("table", [*columns.DBT_FEATURES.values(), *columns.POOLED_FEATURES.values()])
def test_every_feature_table_can_be_joined_point_in_time(table: columns.Table) -> None:
    kinds = {column.name: column.kind for column in table.columns}
    assert kinds[columns.EVENT_TIMESTAMP] == "timestamp"


def test_activity_counts_every_event_type_in_every_window() -> None:
    names = set(columns.USER_ACTIVITY.column_names)
    assert {"count_view_1d", "count_rating_180d"} <= names
    assert sum(n.startswith("count_") and n.endswith("_7d") for n in names) == len(columns.EVENT_TYPES) + 1
