"""Jobs run by name on a partition, and refuse what they cannot run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving_export.jobs import JOBS, promote_space, refresh_embeddings, run
from tests.serving_export.world import DAY1, World
from training.contracts.errors import UsageError
from training.contracts.partitions import Partition
from training.contracts.retention import RetentionPolicy
from training.storage import PART


def test_every_job_runs_on_an_empty_home(world: World) -> None:
    results = {job: run(job, "2026-11-01", settings=world.settings) for job in JOBS}
    assert results["refresh_embeddings"]["refreshed"] == {}
    assert results["promote_space"]["promoted"] is False


def test_the_functions_take_settings_and_a_partition(world: World) -> None:
    assert refresh_embeddings(world.settings, DAY1)["reason"].startswith("no space is live")
    assert promote_space(world.settings, DAY1)["reason"].startswith("no candidate space")


@pytest.mark.parametrize(
    ("job", "partition", "options", "message"),
    [
        ("nothing", "2026-11-01", {}, "expected a job among refresh_embeddings, promote_space"),
        ("promote_space", "", {}, "partition key"),
        ("promote_space", "today", {}, "today"),
        ("promote_space", "2026-11-01", {"speed": 1}, "takes no option speed"),
    ],
)
def test_wrong_usage_is_told_apart(world: World, job: str, partition: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(job, partition, settings=world.settings, **options)


def test_retention_says_how_much_would_go_removes_it_and_then_has_nothing_to_do(world: World) -> None:
    world.settings = replace(world.settings, retention=RetentionPolicy(feature_days=10))
    world.promote(DAY1)
    for day in ("2026-08-01", "2026-08-02", DAY1.shift(400)):
        part = world.settings.features_dir("user_profile", Partition.parse(str(day))) / PART
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("rows")
    day = str(DAY1)
    planned = run("plan_retention", day, settings=world.settings)
    assert (planned["counts"], planned["total"]) == ({"feature days": 1}, 1)
    assert run("apply_retention", day, settings=world.settings)["total"] == 1
    again = run("plan_retention", day, settings=world.settings)
    assert (again["total"], again["reason"]) == (0, "nothing is old enough")
