"""A server answers inside its block and is gone after it, whatever happens inside."""

from __future__ import annotations

from http.client import HTTPConnection

import psutil
import pytest

from serving_export.bench import servers
from serving_export.bench.servers import HOST, lookup_server
from tests.serving_export.world import DAY1, World
from training.contracts.errors import AttuneError

pytestmark = pytest.mark.integration


def test_it_answers_and_ends_even_after_a_failure(world: World) -> None:
    world.promote(DAY1)
    ran = []

    def use() -> None:
        with lookup_server(world.settings.home) as running:
            connection = HTTPConnection(HOST, running.port)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            assert running.cpu_seconds() > 0
            connection.close()
            ran.append(running)
            raise KeyError

    with pytest.raises(KeyError):
        use()
    [running] = ran
    assert not psutil.pid_exists(running.process_id)


def test_one_that_never_gets_ready_is_named_and_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "STARTS_WITHIN_S", 0.5)
    before = set(psutil.Process().children())
    with (
        pytest.raises(AttuneError, match="expected a server that answers /readyz within"),
        lookup_server(world.settings.home),
    ):
        raise AssertionError("unreachable")
    assert set(psutil.Process().children()) <= before
