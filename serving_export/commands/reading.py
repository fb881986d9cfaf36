"""Commands that read what is served: lookup, items, status, lineage."""

from __future__ import annotations

import json

import click

from serving_export.commands.options import of_space, store
from training.command_line import Answer, answers
from training.settings import Settings


@click.command()
@click.option("--user", "user_ids", multiple=True, required=True, metavar="ID", help="external id; may be repeated")
@of_space
@click.option("--frame", metavar="FRAME", help="vectors turned into this frame, of the space that carries it")
@answers
def lookup(user_ids: tuple[str, ...], space_id: str | None, frame: str | None) -> Answer:
    """Print users' vectors, their space, as_of, age and whether they are stale."""
    from serving_export.answers import embeddings_json

    settings = Settings.from_env()
    found = store(settings, space_id).lookup(list(user_ids), on_unknown="ignore", frame=frame)
    values = embeddings_json(found)
    where = f"{found.frame} by space {found.space_id}" if found.frame else f"space {found.space_id}"
    about = f"{where}, as of {found.as_of:%Y-%m-%d}, age {found.age.total_seconds() / 86400:.1f} days"
    lines = [about + (f" (stale: over {settings.stale_after_days:g} days)" if found.stale else "")]
    lines += [f"{u['user_id']}\t{' '.join(f'{x:.5f}' for x in u['vector'])}" for u in values["users"]]
    return Answer(values=values, text="\n".join(lines), error=_unknown(found.unknown, found.space_id, found.partition))


@click.command()
@click.option("--frame", required=True, metavar="FRAME", help="the frame that the reader was fitted on")
@click.option("--item", "item_ids", multiple=True, metavar="ID", help="external id; may be repeated [default: all]")
@of_space
@answers
def items(frame: str, item_ids: tuple[str, ...], space_id: str | None) -> Answer:
    """Print items' vectors as the readers of a frame know them."""
    from serving_export.answers import items_json

    found = store(Settings.from_env(), space_id).lookup_items(frame, item_ids or None)
    values = items_json(found)
    lines = [f"{found.frame} by space {found.space_id}, of {found.partition}"]
    lines += [f"{one['item_id']}\t{' '.join(f'{x:.5f}' for x in one['vector'])}" for one in values["items"]]
    missing = ", ".join(map(repr, found.unknown[:3]))
    error = f"expected items known as of {found.partition}, found unknown {missing}" if found.unknown else ""
    return Answer(values=values, text="\n".join(lines), error=error)


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
