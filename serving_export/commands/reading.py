"""Commands that read what is served: lookup, status, lineage."""

from __future__ import annotations

import json

import click

from serving_export.commands.options import of_space, store
from training.command_line import Answer, answers
from training.settings import Settings


@click.command()
@click.option("--user", "user_ids", multiple=True, required=True, metavar="ID", help="external id; may be repeated")
@of_space
@answers
def lookup(user_ids: tuple[str, ...], space_id: str | None) -> Answer:
    """Print users' vectors, their space, as_of, age and whether they are stale."""
    from serving_export.answers import embeddings_json

    settings = Settings.from_env()
    found = store(settings, space_id).lookup(list(user_ids), on_unknown="ignore")
    values = embeddings_json(found)
    about = f"space {found.space_id}, as of {found.as_of:%Y-%m-%d}, age {found.age.total_seconds() / 86400:.1f} days"
    lines = [about + (f" (stale: over {settings.stale_after_days:g} days)" if found.stale else "")]
    lines += [f"{u['user_id']}\t{' '.join(f'{x:.5f}' for x in u['vector'])}" for u in values["users"]]
    return Answer(values=values, text="\n".join(lines), error=_unknown(found.unknown, found.space_id, found.partition))


@click.command()
@answers
def status() -> Answer:
    """Print live, legacy and candidate spaces, snapshots, partitions and consumers."""
    from serving_export.status import status, summarise

    values = status(Settings.from_env())
    return Answer(values=values, text=summarise(values))


@click.command()
@click.option("--user", "user_id", required=True, metavar="ID", help="external id")
@of_space
@answers
def lineage(user_id: str, space_id: str | None) -> Answer:
    """Lead a user's served vector back to the raw files."""
    from serving_export.lineage import trace

    values = trace(Settings.from_env(), user_id, space_id)
    return Answer(values=values, text=json.dumps(values, indent=1))


def _unknown(unknown: tuple[str, ...], space_id: str, partition: str) -> str:
    if not unknown:
        return ""
    names = ", ".join(repr(name) for name in unknown)
    return (
        f"expected users known as of {partition}, found unknown {names} in space {space_id}; "
        "a user is known from the day on which the first log row arrived"
    )
