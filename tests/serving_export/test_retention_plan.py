"""The policy lets go what is old and not needed; a dry run removes nothing; what is needed stays however old."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from serving_export.retention_plan import in_use, plan
from serving_export.retention_run import apply_retention
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.partitions import Partition
from training.contracts.retention import RetentionPolicy
from training.registry.pointer import read_pointer
from training.storage import PART

NEWEST = DAY1.shift(400)
SHORT = RetentionPolicy(feature_days=10, model_days=10, report_days=10)


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("rows")
    return path


def _days(world: World, *days: Partition) -> None:
    for day in days:
        _file(world.settings.features_dir("user_profile", day) / PART)
        _file(world.settings.features_dir("interactions", day) / PART)


def _short(world: World) -> World:
    world.settings = replace(world.settings, retention=SHORT)
    return world


def test_old_feature_days_go_but_for_those_that_a_training_read_and_the_first_of_a_month(world: World) -> None:
    _short(world).promote(DAY1)
    old = [Partition.parse(day) for day in ("2026-08-01", "2026-08-02", "2026-08-03", "2026-10-20")]
    _days(world, *old, NEWEST)
    assert plan(world.settings).paths["feature days"] == (
        "features/user_profile/dt=2026-08-02",
        "features/user_profile/dt=2026-08-03",
    )


def test_the_plan_removes_nothing_and_carrying_it_out_leaves_nothing_to_plan(world: World) -> None:
    _short(world).promote(DAY1)
    old = Partition.parse("2026-08-02")
    _days(world, Partition.parse("2026-08-01"), old, NEWEST)
    folder = world.settings.features_dir("user_profile", old)
    chosen = plan(world.settings)
    assert folder.exists()
    assert apply_retention(world.settings).paths == chosen.paths
    assert not folder.exists()
    assert world.settings.features_dir("interactions", old).exists(), "the log stays"
    assert plan(world.settings).paths["feature days"] == ()


def test_spaces_go_once_retired_and_old_and_never_while_pinned_or_returned_to(world: World) -> None:
    spaces = _short(world).promote(*(DAY1.shift(offset) for offset in range(6)))
    for space_id in spaces:
        _file(world.settings.space_dir(space_id) / "manifest.json").write_text('{"item_space_id": "x"}')
    _days(world, NEWEST)
    assert plan(world.settings).paths["spaces"] == (f"spaces/{spaces[1]}",), "the frame began with the first"
    world.ledger.pin("team", spaces[1])
    assert plan(world.settings).paths["spaces"] == ()


def test_an_age_of_nought_keeps_for_ever_and_raw_is_the_users(world: World) -> None:
    world.promote(DAY1)
    world.settings = replace(world.settings, retention=RetentionPolicy(feature_days=0))
    _days(world, Partition.parse("2026-08-02"), NEWEST)
    raw = _file(world.settings.raw_dir("interactions") / "dt=2026-08-02" / PART).parent
    _file(world.settings.landed_dir("manifests") / "dt=2026-08-02" / "manifest.json")
    assert plan(world.settings).counts == {}
    world.settings = replace(world.settings, retention=RetentionPolicy(feature_days=0, raw_days=5))
    assert plan(world.settings).paths["raw days"] == (str(raw.relative_to(world.settings.home)),)


def test_models_served_or_offered_are_in_use(world: World) -> None:
    first, second = world.promote(DAY1, DAY2)
    needed = in_use(world.settings, world.ledger, read_pointer(world.settings.published_dir))
    assert {first, second} <= needed.spaces
    assert {version for _, version in needed.models} == {ref.version for ref in world.ledger.models("matching")}
    assert {DAY1, DAY2, DAY1.shift(-30)} <= needed.days
