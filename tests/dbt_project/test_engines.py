"""The project is written for DuckDB and for Spark: each difference has both spellings."""

import re

import pytest
import yaml
from jinja2 import Template

from training.data.dbt import PROJECT_DIR

MACROS = "\n".join(path.read_text() for path in sorted(PROJECT_DIR.glob("macros/**/*.sql")))
SOURCES = yaml.safe_load((PROJECT_DIR / "models/staging/logs/_logs__sources.yml").read_text())["sources"][0]


def defined(name: str) -> bool:
    return re.search(rf"{{% macro {name}\(", MACROS) is not None


@pytest.mark.parametrize("macro", sorted(set(re.findall(r"adapter\.dispatch\('(\w+)'\)", MACROS))))
def test_a_dispatched_macro_is_written_for_both_engines(macro: str) -> None:
    assert defined(f"duckdb__{macro}")
    assert defined(f"spark__{macro}") or defined(f"default__{macro}")


@pytest.mark.parametrize("source", SOURCES["tables"], ids=lambda source: source["name"])
def test_spark_reads_the_folder_above_the_arrival_days(source: dict) -> None:
    location = f"/home/landed/{source['name']}/dt=*/part-0.parquet"
    variables = {f"{source['name']}_location": location}
    assert SOURCES["schema"] == "parquet"
    assert SOURCES["quoting"] == {"identifier": True}
    assert Template(source["identifier"]).render(var=variables.get) == f"/home/landed/{source['name']}"
    assert location in Template(source["config"]["meta"]["external_location"]).render(var=variables.get)


def test_spark_seconds_are_doubles() -> None:
    spark = MACROS.split("macro spark__seconds_between", 1)[1].split("endmacro", 1)[0]
    assert "1e6" in spark
    assert not re.search(r"\d\.\d", spark)  # a decimal literal would make decimals of every duration
