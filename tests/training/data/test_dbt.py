import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.data.conftest import Built
from tests.training.data.landed_logs import land_small_log, settings_at
from training.contracts.errors import AttuneError, TransientFailure
from training.contracts.partitions import Partition
from training.data.dbt import PROJECT_DIR, run_dbt
from training.data.warehouse import build, source_locations
from training.storage import PART

pytestmark = pytest.mark.integration


def test_writes_nothing_into_the_project_and_leaves_the_environment_alone(built: Built) -> None:
    assert not (PROJECT_DIR / "target").exists()
    assert not (PROJECT_DIR / "logs").exists()
    assert "ATTUNE_WAREHOUSE" not in os.environ
    assert (built.settings.home / "warehouse" / "dbt" / "target" / "manifest.json").exists()


def test_an_sql_error_is_one_line_that_names_the_model(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    config.warehouse_path.parent.mkdir(parents=True)
    lost = {**source_locations(config), "items_location": str(tmp_path / "nowhere.parquet")}
    with pytest.raises(AttuneError, match="expected dbt model stg_logs__items to build, found: ") as error:
        run_dbt(config, "run", lost, {"partition": "2026-01-01"}, "--select", "stg_logs__items")
    assert "\n" not in str(error.value)
    assert "nowhere.parquet" in str(error.value)
    assert not isinstance(error.value, TransientFailure)


def test_what_broke_a_model_that_is_built_in_batches_is_told(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    land_small_log(config)
    path = config.landed_dir("interactions") / "dt=2026-01-03" / PART
    os.truncate(path, path.stat().st_size // 2)
    told = r"expected dbt model int_interactions_deduplicated to build, found: .*magic bytes.*dt=2026-01-03"
    with pytest.raises(AttuneError, match=told):
        build(config, Partition.parse("2026-01-03"))


HOLD = "import duckdb, sys; kept = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_a_warehouse_that_another_process_holds_may_be_tried_again(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    config.warehouse_path.parent.mkdir(parents=True)
    command = [sys.executable, "-c", HOLD, str(config.warehouse_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TransientFailure, match="Could not set lock on file"):
            run_dbt(config, "run", source_locations(config), {"partition": "2026-01-01"}, "--select", "stg_logs__items")
        holder.communicate()


def test_an_argument_that_dbt_does_not_know_is_refused(tmp_path: Path) -> None:
    config = settings_at(tmp_path)
    with pytest.raises(AttuneError, match=r"expected dbt run to run, found: .*--nonsense"):
        run_dbt(config, "run", source_locations(config), {"partition": "2026-01-01"}, "--nonsense")
