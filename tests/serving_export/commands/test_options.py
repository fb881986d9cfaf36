"""Options that several commands share mean the same in each."""

from __future__ import annotations

import click
import pytest

from serving_export.commands import moving, ranking, reading
from serving_export.commands.options import store
from tests.serving_export.world import DAY1, DAY2, World
from training.contracts.partitions import Partition

RANKED = (ranking.recommend, ranking.target, ranking.rank)
NEEDED = {"recommend": ["--user", "u"], "target": ["--item", "i"], "rank": ["--task", "target", "--out", "f"]}


def given(command: click.Command, *arguments: str) -> dict[str, object]:
    return command.make_context(command.name, [*NEEDED.get(str(command.name), []), *arguments]).params


@pytest.mark.parametrize("command", RANKED)
def test_seen_pairs_are_dropped_unless_they_are_kept(command: click.Command) -> None:
    assert given(command)["drop_seen"] is True
    assert given(command, "--drop-seen")["drop_seen"] is True
    assert given(command, "--keep-seen")["drop_seen"] is False


@pytest.mark.parametrize("command", RANKED)
def test_matching_of_the_live_space_ranks_unless_another_is_named(command: click.Command) -> None:
    assert (given(command)["consumer"], given(command)["space_id"]) == ("matching", None)
    other = given(command, "--consumer", "multi_interest", "--space", "s")
    assert (other["consumer"], other["space_id"]) == ("multi_interest", "s")


@pytest.mark.parametrize("command", [moving.refresh, moving.promote])
def test_a_partition_is_a_day(command: click.Command) -> None:
    assert given(command, "--partition", "2026-11-01")["partition"] == Partition.parse("2026-11-01")
    for wrong in ([], ["--partition", "today"], ["--partition", "20261101"]):
        with pytest.raises(click.UsageError):
            given(command, *wrong)


def test_a_space_is_the_live_one_unless_it_is_named(world: World) -> None:
    legacy, live = world.promote(DAY1, DAY2)
    assert given(reading.lookup, "--user", "u01")["space_id"] is None
    assert store(world.settings, None).space_id == live
    assert store(world.settings, legacy).space_id == legacy
