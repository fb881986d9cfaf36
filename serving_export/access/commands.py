"""Answer `python -m serving_export tokens ...`: keys, tokens and limits of teams, in the access file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from serving_export.access.book import Book, Team, change_book, read_book, utc_now
from serving_export.access.limits import Limits
from serving_export.access.tokens import issue, issue_static
from training.settings import Settings

Said = tuple[dict[str, Any], str]
"""What a command prints: with --json, and else."""


def issue_token(settings: Settings, options: argparse.Namespace) -> Said:
    """Return a new token; it is shown once, and kept nowhere."""
    lifetime, now = timedelta(days=options.days), utc_now()
    scopes = [scope.strip() for scope in options.scopes.split(",")]
    if options.static:
        token, entry = issue_static(options.team, scopes, lifetime, now)
        change_book(settings.access_path, lambda book: replace(book, static=(*book.static, entry)))
    else:
        token = issue(read_book(settings.access_path), options.team, scopes, lifetime, now)
    until = (now + lifetime).isoformat(timespec="seconds")
    return {"team": options.team, "scopes": scopes, "expires_at": until, "token": token}, token


def list_keys(settings: Settings, options: argparse.Namespace) -> Said:
    """Return every key, static token and team, without any secret."""
    book = read_book(settings.access_path)
    keys = [{"kid": k.kid, "created_at": k.created_at, "verifies_until": k.verifies_until} for k in book.keys]
    static = [{"team": t.team, "scopes": list(t.scopes), "expires_at": t.expires_at} for t in book.static]
    teams = {name: team.to_dict() for name, team in sorted(book.teams.items())}
    lines = [f"key     {k['kid']} {_until(k['verifies_until'])}, made {k['created_at'][:10]}" for k in keys]
    lines += [f"static  {t['team']} ({', '.join(t['scopes'])}) until {str(t['expires_at'])[:10]}" for t in static]
    lines += [f"team    {name} {' '.join(f'{k}={v}' for k, v in team.items() if v)}" for name, team in teams.items()]
    return {"keys": keys, "static": static, "teams": teams}, "\n".join(lines) or "no keys"


def rotate_keys(settings: Settings, options: argparse.Namespace) -> Said:
    """Make a new key that signs from now on; what older ones signed holds for the days of grace."""
    book = change_book(settings.access_path, lambda book: book.rotated(timedelta(days=options.grace_days), utc_now()))
    older = len(book.keys) - 1
    text = f"{book.signs.kid} signs from now on; {older} older keys verify for at most {options.grace_days:g} days more"
    return {"kid": book.signs.kid, "older": [key.kid for key in book.keys[1:]]}, text


def revoke_tokens(settings: Settings, options: argparse.Namespace) -> Said:
    """Refuse every token that a team has so far."""
    change_book(settings.access_path, lambda book: book.without_tokens_of(options.team, utc_now()))
    return {"team": options.team}, f"no token of {options.team} holds any more; issue a new one"


def limit_team(settings: Settings, options: argparse.Namespace) -> Said:
    """Give a team limits of its own."""
    Limits.parse(options.rate or settings.request_rate, options.quota or settings.id_quota)

    def limited(book: Book) -> Book:
        team = replace(book.teams.get(options.team, Team()), rate=options.rate, quota=options.quota)
        return replace(book, teams={**book.teams, options.team: team})

    change_book(settings.access_path, limited)
    rate, quota = options.rate or settings.request_rate, options.quota or settings.id_quota
    return {"team": options.team, "rate": rate, "quota": quota}, f"{options.team}: {rate} requests, {quota} ids"


ACTIONS: dict[str, Callable[[Settings, argparse.Namespace], Said]] = {
    "issue": issue_token,
    "list-keys": list_keys,
    "rotate": rotate_keys,
    "revoke": revoke_tokens,
    "limit": limit_team,
}


def _until(moment: str) -> str:
    return f"verifies until {moment[:19]}" if moment else "signs"
