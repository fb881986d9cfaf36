"""A reader asks a real server, whose answers keep to the home's own vectors over a promotion; others are told."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from serving_export.bench.servers import lookup_server
from serving_export.bench.soak import reads
from serving_export.bench.soak.reads import NO_SPACE, Answered, Client, Reader, Request
from serving_export.bench.soak.tally import Tally
from tests.serving_export.world import World
from training.contracts.partitions import Partition

pytestmark = pytest.mark.integration
DAYS = (Partition.parse("2026-11-05"), Partition.parse("2026-11-06"))


@pytest.fixture
def port(world: World) -> Iterator[int]:
    world.promote(DAYS[0])
    with lookup_server(world.settings.home) as server:
        yield server.port


def test_every_form_keeps_to_the_home_over_a_promotion(world: World, port: int) -> None:
    tally = Tally()
    reader = Reader(world.settings, port, tally, seed=1)
    forms = (reader._binary, reader._json, reader._arrow)
    for form in forms * 3:
        form()
    world.promote(DAYS[1])
    for form in forms:
        form()
    assert not tally.broken
    assert tally.checked["as the home's own"] > 100
    assert tally.checked["other"] == 0


def test_a_worker_may_lag_behind_a_move_for_a_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promote(DAYS[0])
    tally = Tally()
    reader = Reader(world.settings, 1, tally, seed=1)
    reader._look()
    live = reader._store.pointer.live
    before = Answered(live.space_id, DAYS[0].as_of, np.zeros((1, 4), np.float32))
    world.promote(DAYS[1])
    for is_pinned in (False, True):
        reader._check_other(before, ["u01"], is_pinned=is_pinned)
    assert not tally.broken
    monkeypatch.setattr(reads, "LAG_S", 0.0)
    reader._check_other(before, ["u01"], is_pinned=False)
    reader._check_other(before._replace(space_id=NO_SPACE), ["u01"], is_pinned=True)
    assert len(tally.broken) == 2


def test_vectors_that_are_not_the_homes_are_told(world: World, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    reader = Reader(world.settings, port, tally, seed=1)
    own = reader._own
    monkeypatch.setattr(reader, "_own", lambda users: own(users) + np.float32(0.01))
    reader._json()
    assert tally.checked["other"] > 0
    assert "expected the vectors of" in tally.broken[0]


def test_an_unexpected_status_is_told_and_a_provoked_refusal_is_not(port: int) -> None:
    tally = Tally()
    client = Client(port, tally)
    body = {"user_ids": [], "space": NO_SPACE}
    assert client.ask(Request("foreign", "POST", "/embeddings", body, 409)) is not None
    assert client.ask(Request("own", "POST", "/embeddings", body)) is None
    client.close()
    assert tally.kinds["foreign"].refusals == 1
    assert tally.kinds["own"].errors == 1


def test_a_connection_is_kept_for_a_while_only(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "ASKS_PER_CONNECTION", 2)
    client = Client(port, Tally())
    connections = []
    for _ in range(5):
        assert client.ask(Request("spaces", "GET", "/spaces")) is not None
        connections.append(client._connection)
    client.close()
    first, _, third, _, fifth = connections
    assert [one is before for one, before in pairwise(connections)] == [True, False, True, False]
    assert len({id(first), id(third), id(fifth)}) == 3
