"""The lookup server as the benchmark runs it: as `serve` does with one worker, without what it starts beside it.

python -m serving_export.bench.http_server --host 127.0.0.1 --port 8600
"""

from __future__ import annotations

import argparse
from functools import partial

from uvicorn import Config, Server

from serving_export.http.serve import configured, started
from training.settings import Settings

KEPT_OPEN_S = 300
"""How long a connection stays open between two requests: the ways take turns."""


def config(settings: Settings, host: str, port: int) -> Config:
    """Return how the server of a home runs: protocol, limits, accounting and log lines are the product's."""
    found = configured(partial(started, settings), host, port)
    found.timeout_keep_alive = KEPT_OPEN_S
    return found


def main() -> None:
    """Serve the home that the environment names until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    Server(config(Settings.from_env(), options.host, options.port)).run()


if __name__ == "__main__":
    main()
