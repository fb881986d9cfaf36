"""The names of a feature must agree wherever it is passed on: contract, dbt yml, Feast fields."""

from pathlib import Path

import pytest
import yaml

from training.contracts.columns import (
    ACTIVITY_WINDOWS_DAYS,
    DBT_FEATURES,
    EVENT_TIMESTAMP,
    EVENT_TYPES,
    HISTORY_LENGTH,
    INTERACTIONS,
    POOLED_FEATURES,
    USER_EMBEDDING,
    Table,
)
from training.data.dbt import PROJECT_DIR
from training.settings import Settings

DBT_TYPES = {
    "string": "string",
    "double": "double",
    "bigint": "bigint",
    "timestamp": "timestamp",
    "strings": "{{ 'array<string>' if target.type == 'spark' else 'varchar[]' }}",
    "timestamps": "{{ 'array<timestamp>' if target.type == 'spark' else 'timestamp[]' }}",
}
FEAST_TYPES = {
    "string": "String",
    "double": "Float64",
    "bigint": "Int64",
    "strings": "Array(String)",
    "timestamps": "Array(UnixTimestamp)",
    "floats": "Array(Float32)",
}
SERVED = {**DBT_FEATURES, **POOLED_FEATURES, USER_EMBEDDING.name: USER_EMBEDDING}


def dbt_columns(model: str) -> list[tuple[str, str]]:
    for file in PROJECT_DIR.glob("models/marts/**/*__models.yml"):
        for described in yaml.safe_load(file.read_text())["models"]:
            if described["name"] == model:
                return [(column["name"], column["data_type"]) for column in described["columns"]]
    raise AssertionError(f"no yml describes {model}")


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Feast's views as its registry knows them after `apply`, by name."""
    from training.data.feature_store import apply, feature_store

    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("seams"))})
    apply(settings)
    return {view.name: view for view in feature_store(settings).list_feature_views()}


@pytest.mark.parametrize(
    ("model", "table"),
    [*((f"{name}_features", table) for name, table in DBT_FEATURES.items()), ("fct_interactions", INTERACTIONS)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_dbt_yml_holds_the_contract(model: str, table: Table) -> None:
    assert dbt_columns(model) == [(column.name, DBT_TYPES[column.kind]) for column in table.columns]


def test_every_feature_model_has_a_contract() -> None:
    models = {path.stem for path in Path(PROJECT_DIR / "models/marts/features").glob("*.sql")}
    assert models == {f"{name}_features" for name in DBT_FEATURES}


@pytest.mark.integration
@pytest.mark.parametrize("name", SERVED)
def test_feast_fields_hold_the_contract(name: str, applied: dict[str, object]) -> None:
    view = applied[name]
    expected = {c.name: FEAST_TYPES[c.kind] for c in SERVED[name].columns if c.name != EVENT_TIMESTAMP}
    assert {field.name: str(field.dtype) for field in view.schema} == expected
    assert {column.name for column in view.entity_columns} == set(SERVED[name].key)


@pytest.mark.integration
def test_feast_views_are_those_of_the_contract_and_name_their_dbt_model(applied: dict[str, object]) -> None:
    assert set(applied) == set(SERVED)
    for name in DBT_FEATURES:
        assert applied[name].batch_source.description == f"dbt model {name}_features"


def test_windows_types_and_history_length_agree_with_the_sql() -> None:
    activity = (PROJECT_DIR / "models/marts/features/user_activity_features.sql").read_text()
    assert f"set windows = {list(ACTIVITY_WINDOWS_DAYS)}" in activity
    assert f"set event_types = {list(EVENT_TYPES)}" in activity
    assert yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())["vars"]["history_length"] == HISTORY_LENGTH


def test_the_seed_weighs_every_event_type_of_the_contract() -> None:
    seed = (PROJECT_DIR / "seeds/event_types.csv").read_text().split()[1:]
    assert tuple(line.split(",")[0] for line in seed) == EVENT_TYPES
