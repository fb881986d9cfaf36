"""dbt's own unit tests, and what every model must say of itself."""

from pathlib import Path

import pytest
import yaml

from tests.training.data.conftest import (
    Built,
    built,  # noqa: F401
)
from training.data.dbt import PROJECT_DIR, run_dbt
from training.data.warehouse import source_locations

MODELS = sorted(PROJECT_DIR.glob("models/**/*.sql"))


def described() -> dict[str, dict]:
    files = PROJECT_DIR.glob("models/**/*__models.yml")
    return {model["name"]: model for file in files for model in yaml.safe_load(file.read_text())["models"]}


def unit_tests() -> list[dict]:
    files = PROJECT_DIR.glob("models/**/*.yml")
    return [test for file in files for test in yaml.safe_load(file.read_text()).get("unit_tests", [])]


@pytest.mark.integration
def test_every_unit_test_passes(built: Built) -> None:  # noqa: F811
    counts = run_dbt(
        built.settings,
        "test",
        source_locations(built.settings),
        {"partition": "2026-01-03"},
        "--select",
        "test_type:unit",
    )
    assert counts == {"pass": len(unit_tests())}


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_every_model_is_described_short_and_ends_with_its_grain(model: Path) -> None:
    description = " ".join(described()[model.stem]["description"].split())
    assert "One row per " in description.rsplit(". ", 1)[-1]
    lines = model.read_text().rstrip().splitlines()
    assert lines[-1].startswith("select * from ")
    assert len(lines) <= 90


def test_every_consumer_is_an_exposure() -> None:
    file = PROJECT_DIR / "models/marts/features/_features__exposures.yml"
    names = {exposure["name"] for exposure in yaml.safe_load(file.read_text())["exposures"]}
    assert {"user_encoder", "matching", "cold_start", "multi_interest"} <= names


def test_marts_keep_an_enforced_contract_and_state_a_key() -> None:
    project = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())
    assert project["models"]["attune"]["marts"]["+contract"]["enforced"] is True
    for name in (path.stem for path in MODELS if "marts" in path.parts):
        key = described()[name]["columns"][0]
        assert {"unique", "not_null"} <= {test for test in key["data_tests"] if isinstance(test, str)}, name
