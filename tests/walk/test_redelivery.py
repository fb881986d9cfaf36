"""A day that is delivered again with corrected ids leaves no ghost, from landed rows to what is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from serving_export.jobs import run as run_serving
from serving_export.lookup import EmbeddingStore
from tests.walk.chain import walk
from tests.walk.logs import Shape, make
from training.data.feature_store import read_online
from training.jobs import run
from training.settings import Settings
from training.storage import write_parquet

JOBS = ("land_partition", "transform_partition", "pool_taste", "validate_features", "materialise_features")


@pytest.mark.walk
def test_a_corrected_user_leaves_no_ghost(tmp_path: Path, fresh_mlflow: Callable[[Settings], Settings]) -> None:
    settings = fresh_mlflow(Settings.from_env({"ATTUNE_HOME": str(tmp_path)}))
    history = make(Shape(who="new every day"))
    assert walk(settings, history).served
    [raw] = sorted(settings.raw_dir("interactions").glob("dt=*/*.parquet"))[-1:]
    day, rows = raw.parent.name.removeprefix("dt="), pq.ParquetFile(raw).read()
    ghost = rows["user_id"][0].as_py()
    named = pc.if_else(pc.equal(rows["user_id"], ghost), pa.scalar("corrected"), rows["user_id"])
    write_parquet(rows.set_column(rows.column_names.index("user_id"), "user_id", named), raw)
    for job in JOBS:
        run(job, day, settings=settings)
    run_serving("refresh_embeddings", day, settings=settings)

    store = EmbeddingStore(settings.published_dir)
    assert store.lookup([ghost, "corrected"], "ignore").unknown == (ghost,)
    entities = [{"user_id": user, "space_id": store.space_id} for user in (ghost, "corrected")]
    found = read_online(settings, "matching_v1", entities)["vector"]
    assert [vector is not None for vector in found] == [False, True]
    for path in (*tmp_path.glob("landed/**/*.parquet"), *tmp_path.glob(f"features/**/dt={day}/*.parquet")):
        table = pq.ParquetFile(path).read()
        assert "user_id" not in table.column_names or ghost not in table["user_id"].to_pylist(), path
