"""Commands that find who or what is nearest by cosine: similar-users, similar-items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from serving_export.commands.options import of_space, store
from serving_export.embeddings import Standing
from training.command_line import Answer, answers
from training.settings import Settings

if TYPE_CHECKING:
    from serving_export.neighbours import Neighbours


@click.command("similar-users")
@click.option("--user", "user_id", required=True, metavar="ID", help="external id")
@click.option("--k", type=int, default=10, show_default=True, help="how many")
@of_space
@answers
def similar_users(user_id: str, k: int, space_id: str | None) -> Answer:
    """Print the users nearest to one by cosine, nearest first."""
    from serving_export.neighbours import Neighbourhoods

    served = store(Settings.from_env(), space_id)
    found = Neighbourhoods().users(served.snapshot)
    return _neighbours(found, user_id, k, served.standing(served.snapshot), {})


@click.command("similar-items")
@click.option("--item", "item_id", required=True, metavar="ID", help="external id")
@click.option("--k", type=int, default=10, show_default=True, help="how many")
@click.option("--consumer", default="matching", show_default=True, help="whose vectors to compare")
@of_space
@answers
def similar_items(item_id: str, k: int, consumer: str, space_id: str | None) -> Answer:
    """Print the items nearest to one by cosine, nearest first."""
    from serving_export.neighbours import Neighbourhoods

    served = store(Settings.from_env(), space_id)
    snapshot = served.snapshot_of(consumer)
    found = Neighbourhoods().items(snapshot, consumer)
    return _neighbours(found, item_id, k, served.standing(snapshot), {"consumer": consumer, **snapshot.model(consumer)})


def _neighbours(found: Neighbours, query: str, k: int, about: Standing, model: dict[str, str]) -> Answer:
    from serving_export.answers import neighbours_json

    [ranking] = found.find([query], k)
    values = {**neighbours_json(query, ranking, about), **model}
    lines = [f"{name}\t{score:.5f}" for name, score in zip(ranking.ids, values["scores"], strict=True)]
    return Answer(values=values, text="\n".join(lines))
