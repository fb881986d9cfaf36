"""The commands that keep the lookup server's keys, and the tokens and limits of teams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import click

from serving_export.access.book import Book, Team, change_book, read_book, utc_now
from training.command_line import Answer, answers
from training.settings import Settings

DAYS = 30
SCOPES = "what it allows, by comma, of lookup, rank, history, events, status, erase"
Command = TypeVar("Command", bound=Callable[..., Any])


def _of_team(command: Command) -> Command:
    text = "lower-case letters, digits, - and _"
    return click.option("--team", required=True, metavar="TEAM", help=text)(command)


@click.group()
def tokens() -> None:
    """Keep the lookup server's keys, and the tokens and limits of teams."""


@tokens.command()
@_of_team
@click.option("--scopes", default="lookup,rank", show_default=True, metavar="A,B", help=SCOPES)
@click.option("--days", type=float, default=DAYS, show_default=True, help="how long it holds")
@click.option("--static", is_flag=True, help="a random one that the file knows by its digest, unsigned")
@answers
def issue(team: str, scopes: str, days: float, static: bool) -> Answer:
    """Print a new bearer token of a team; it is shown once, and kept nowhere."""
    from serving_export.access.tokens import issue, issue_static

    settings, lifetime, now = Settings.from_env(), timedelta(days=days), utc_now()
    allowed = [scope.strip() for scope in scopes.split(",")]
    if static:
        token, entry = issue_static(team, allowed, lifetime, now)
        change_book(settings.access_path, lambda book: replace(book, static=(*book.static, entry)))
    else:
        token = issue(read_book(settings.access_path), team, allowed, lifetime, now)
    until = (now + lifetime).isoformat(timespec="seconds")
    return Answer(values={"team": team, "scopes": allowed, "expires_at": until, "token": token}, text=token)


@tokens.command("list-keys")
@answers
def list_keys() -> Answer:
    """Print keys, static tokens and teams, without any secret."""
    book = read_book(Settings.from_env().access_path)
    keys = [{"kid": k.kid, "created_at": k.created_at, "verifies_until": k.verifies_until} for k in book.keys]
    static = [{"team": t.team, "scopes": list(t.scopes), "expires_at": t.expires_at} for t in book.static]
    teams = {name: team.to_dict() for name, team in sorted(book.teams.items())}
    lines = [f"key     {k['kid']} {_until(k['verifies_until'])}, made {k['created_at'][:10]}" for k in keys]
    lines += [f"static  {t['team']} ({', '.join(t['scopes'])}) until {str(t['expires_at'])[:10]}" for t in static]
    lines += [f"team    {name} {' '.join(f'{k}={v}' for k, v in team.items() if v)}" for name, team in teams.items()]
    return Answer(values={"keys": keys, "static": static, "teams": teams}, text="\n".join(lines) or "no keys")


@tokens.command()
@click.option(
    "--grace-days",
    type=float,
    default=DAYS,
    show_default=True,
    metavar="DAYS",
    help="how long tokens of the key before still hold; 0 ends them at once",
)
@answers
def rotate(grace_days: float) -> Answer:
    """Sign with a new key from now on; also makes the first one."""
    path = Settings.from_env().access_path
    book = change_book(path, lambda book: book.rotated(timedelta(days=grace_days), utc_now()))
    older = len(book.keys) - 1
    text = f"{book.signs.kid} signs from now on; {older} older keys verify for at most {grace_days:g} days more"
    return Answer(values={"kid": book.signs.kid, "older": [key.kid for key in book.keys[1:]]}, text=text)


@tokens.command()
@_of_team
@answers
def revoke(team: str) -> Answer:
    """Refuse every token that a team has so far."""
    change_book(Settings.from_env().access_path, lambda book: book.without_tokens_of(team, utc_now()))
    return Answer(values={"team": team}, text=f"no token of {team} holds any more; issue a new one")


@tokens.command()
@_of_team
@click.option("--rate", default="", metavar="N/TIME", help="requests, as 600/minute [default: the server's]")
@click.option("--quota", default="", metavar="N/TIME", help="looked-up ids, as 5000000/day [default: the server's]")
@answers
def limit(team: str, rate: str, quota: str) -> Answer:
    """Give a team a rate and a quota of its own."""
    from serving_export.access.limits import Limits

    settings = Settings.from_env()
    requests, ids = rate or settings.request_rate, quota or settings.id_quota
    Limits.parse(requests, ids)

    def limited(book: Book) -> Book:
        return replace(book, teams={**book.teams, team: replace(book.teams.get(team, Team()), rate=rate, quota=quota)})

    change_book(settings.access_path, limited)
    return Answer(values={"team": team, "rate": requests, "quota": ids}, text=f"{team}: {requests} requests, {ids} ids")


def _until(moment: str) -> str:
    return f"verifies until {moment[:19]}" if moment else "signs"
