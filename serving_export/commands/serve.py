"""The command that runs the lookup server."""

from __future__ import annotations

import click

from training.command_line import Answer, answers
from training.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option("--port", type=int, default=8600, show_default=True, help="port to listen on")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="processes that answer"
)
@answers
def serve(host: str, port: int, workers: int) -> Answer:
    """Answer lookups over HTTP until stopped."""
    from serving_export.http.serve import serve

    serve(Settings.from_env(), host, port, workers)
    return Answer(values={}, text="stopped")
