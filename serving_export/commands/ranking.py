"""Commands that rank: recommend, target, rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from serving_export.commands.options import of_consumer, store
from serving_export.lookup import EmbeddingStore, OnUnknownUser, Ranking
from training.command_line import Answer, answers
from training.contracts.errors import AttuneError
from training.settings import Settings

FORMS = "tsv: id<TAB>ids, for ids without white space; parquet, jsonl: any ids, with scores (default: by FILE's ending)"
UNKNOWN_USER = "a user that the snapshot does not hold: an error, or the most popular items"
UNKNOWN_IDS = "what to do with ids that the snapshot does not hold (warn: leave them out and say so)"


@click.command()
@click.option("--user", "user_id", required=True, metavar="ID", help="external id")
@click.option("--k", type=int, default=10, show_default=True, help="how many")
@of_consumer
@click.option(
    "--unknown", type=click.Choice(["raise", "popularity"]), default="raise", show_default=True, help=UNKNOWN_USER
)
@answers
def recommend(
    user_id: str, k: int, consumer: str, drop_seen: bool, space_id: str | None, unknown: OnUnknownUser
) -> Answer:
    """Print a user's best items, best first."""
    served = store(Settings.from_env(), space_id)
    ranking = served.recommend(user_id, k, on_unknown=unknown, consumer=consumer, drop_seen=drop_seen)
    return _ranking(ranking, served, consumer)


@click.command()
@click.option("--item", "item_id", required=True, metavar="ID", help="external id")
@click.option("--k", type=int, default=10, show_default=True, help="how many")
@of_consumer
@answers
def target(item_id: str, k: int, consumer: str, drop_seen: bool, space_id: str | None) -> Answer:
    """Print an item's best users, best first."""
    served = store(Settings.from_env(), space_id)
    ranking = served.target(item_id, k, consumer=consumer, drop_seen=drop_seen)
    return _ranking(ranking, served, consumer)


@click.command()
@click.option(
    "--task", type=click.Choice(["recommend", "target"]), required=True, help="items for users, or users for items"
)
@click.option("--k", type=int, default=50, show_default=True, help="longest list")
@click.option("--out", required=True, metavar="FILE", help="file to write, whole or not at all")
@click.option("--format", "form", type=click.Choice(["tsv", "parquet", "jsonl"]), help=FORMS)
@click.option(
    "--ids", "ids_file", type=click.Path(), metavar="FILE", help="rank for these ids, one a line [default: all]"
)
@click.option(
    "--unknown",
    type=click.Choice(["raise", "warn", "ignore"]),
    default="warn",
    show_default=True,
    help=UNKNOWN_IDS,
)
@of_consumer
@answers
def rank(task: Any, out: str, ids_file: str | None, consumer: str, space_id: str | None, **how: Any) -> Answer:
    """Write full rankings to a file, best first."""
    from serving_export.rank import write_rankings

    snapshot = store(Settings.from_env(), space_id).snapshot_of(consumer)
    ids = _read_ids(Path(ids_file)) if ids_file else None
    how["on_unknown"] = how.pop("unknown")
    answered = write_rankings(snapshot, consumer, task, Path(out), ids=ids, **how)
    count, by = sum(answered.values()), ", ".join(f"{lines} by {name}" for name, lines in answered.items())
    values = {"lines": count, "out": out, "consumers": answered}
    return Answer(values=values, text=f"{count} lines in {out} ({by})")


def _ranking(ranking: Ranking, served: EmbeddingStore, consumer: str) -> Answer:
    from serving_export.answers import ranking_json

    snapshot = served.snapshot_of(consumer)
    values = ranking_json(ranking, snapshot.model(ranking.consumer), served.standing(snapshot))
    lines = [f"{name}\t{score:.5f}" for name, score in zip(ranking.ids, values["scores"], strict=True)]
    if ranking.fallback:
        lines.insert(0, f"by popularity: nothing is known of {ranking.query} that would tell its own items")
    return Answer(values=values, text="\n".join(lines))


def _read_ids(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise AttuneError(
            f"expected a file of ids, one a line, found {error.strerror} at {path}; check --ids"
        ) from error
    return [line.strip() for line in lines if line.strip()]
