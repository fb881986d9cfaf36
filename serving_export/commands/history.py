"""The command that writes the vectors that users had at past moments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from serving_export.commands.options import of_space
from training.command_line import Answer, answers
from training.registry.pointer import read_pointer
from training.settings import Settings

ROWS = "Parquet (FILE ends in .parquet) or CSV with the columns user_id and as_of, a moment in ISO 8601, else UTC"
UNKNOWN = "users that were not known at their moment: a vector that is null, or an error"


@click.command()
@click.option("--rows", required=True, metavar="FILE", help=ROWS)
@click.option("--out", required=True, metavar="FILE", help="file to write, whole or not at all")
@click.option("--unknown", type=click.Choice(["null", "raise"]), default="null", show_default=True, help=UNKNOWN)
@of_space
@click.option("--frame", metavar="FRAME", help="vectors turned into this frame, of every space that has carried it")
@answers
def history(rows: str, out: str, unknown: Any, space_id: str | None, frame: str | None) -> Answer:
    """Write the vectors that users had at past moments to a Parquet file."""
    from serving_export.past_rows import read_rows
    from serving_export.past_vectors import PastVectors, Source, write_past_file

    settings = Settings.from_env()
    live = None if frame else read_pointer(settings.published_dir).live.space_id
    of = Source(space_id or live, frame)
    past = PastVectors(settings.published_dir)
    count = write_past_file(past, of, read_rows(Path(rows)), Path(out), unknown)
    values = {"rows": count, "space_id": of.space_id, "frame": of.frame, "out": out}
    return Answer(values=values, text=f"{count} rows of {of} in {out}")
