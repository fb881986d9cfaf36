"""A partition's logs and snapshots are held to their suites before they are served."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from training.contracts.errors import ContractViolation, MissingArtefact
from training.contracts.partitions import Partition
from training.data import warehouse
from training.ingest.landing import land
from training.ingest.simulator import SimulatorConfig, simulate
from training.ingest.world import WorldConfig
from training.jobs.validation import validate_features
from training.settings import Settings
from training.storage import PART, write_parquet

pytestmark = pytest.mark.integration
DAY = Partition.parse("2025-11-08")
DBT_TABLES = {"user_profile", "user_activity", "user_history", "item_popularity", "item_profile"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    settings = Settings.from_env({"ATTUNE_HOME": str(tmp_path_factory.mktemp("home"))})
    world = WorldConfig(num_users=40, num_items=20, num_days=3, last_day=str(DAY))
    simulate(settings, SimulatorConfig(world=world))
    land(settings, DAY)
    warehouse.build(settings, DAY)
    warehouse.export_features(settings, DAY)
    return settings


@pytest.fixture
def settings(built, tmp_path):
    copied = tmp_path / "home"
    for folder in ("features", "landed"):
        shutil.copytree(built.home / folder, copied / folder)
    return Settings.from_env({"ATTUNE_HOME": str(copied)})


def test_every_boundary_is_looked_at_and_leaves_data_docs(settings):
    report = validate_features(settings, DAY)
    assert set(report["rows"]) == DBT_TABLES | {"raw_interactions"}
    assert report["rows"]["user_profile"] == pq.read_table(settings.features_dir("user_profile", DAY) / PART).num_rows
    assert report["num_checks"] > len(report["rows"])
    json.dumps(report)
    pages = {path.parent.name for path in settings.reports_dir.glob("data_docs/*/*/index.html")}
    assert set(report["rows"]) <= pages


def test_a_snapshot_that_breaks_its_suite_fails_with_the_page_to_open(settings):
    path = settings.features_dir("user_profile", DAY) / PART
    table = pq.read_table(path)
    write_parquet(table.take([0, 0, *range(1, table.num_rows)]), path)
    with pytest.raises(ContractViolation, match=r"user_profile\.(?s:.*)index.html"):
        validate_features(settings, DAY)


def test_a_missing_snapshot_names_the_job_that_makes_it(settings):
    shutil.rmtree(settings.features_dir("item_profile", DAY))
    with pytest.raises(MissingArtefact, match=r"item_profile snapshot .* run transform_partition first"):
        validate_features(settings, DAY)


def test_a_day_without_arrivals_is_no_failure(settings):
    path = settings.landed_dir("interactions") / f"dt={DAY}" / PART
    write_parquet(pq.read_table(path).slice(0, 0), path)
    assert "raw_interactions" not in validate_features(settings, DAY)["rows"]
