"""The command that follows events as they happen."""

from __future__ import annotations

import json

import click

from training.command_line import Answer, answers
from training.settings import Settings


@click.command()
@click.option("--part", "parts", type=int, multiple=True, metavar="N", help="a part of the users [default: all]")
@click.option("--metrics-port", type=int, default=0, help="port of /metrics [default: none]")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="address of /metrics")
@click.option("--status", "asks_status", is_flag=True, help="print lag, dead letters and parity, and end")
@answers
def stream(parts: tuple[int, ...], metrics_port: int, metrics_host: str, asks_status: bool) -> Answer:
    """Follow events until stopped: vectors of the users whom they touch are newer than the day's."""
    settings = Settings.from_env()
    if asks_status:
        from serving_export.stream.health import health

        values = health(settings)
        return Answer(values=values, text=json.dumps(values, indent=1))
    from serving_export.stream.command import follow

    taken = follow(settings, parts or None, metrics_host, metrics_port)
    return Answer(values={"entries": taken}, text=f"took {taken} entries in")
