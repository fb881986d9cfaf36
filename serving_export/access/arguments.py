"""The arguments of `python -m serving_export tokens ...`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

DAYS = 30

Add = Callable[[str, str], argparse.ArgumentParser]


def add_token_commands(add: Add) -> None:
    """Add every action on keys, tokens and limits; `add` takes a name and a help line."""
    issue = add("issue", "print a new bearer token of a team")
    _add_team(issue)
    scopes = "what it allows, by comma, of lookup, rank, history, status, erase (default %(default)s)"
    issue.add_argument("--scopes", default="lookup,rank", metavar="A,B", help=scopes)
    issue.add_argument("--days", type=float, default=DAYS, help="how long it holds (default %(default)s)")
    issue.add_argument("--static", action="store_true", help="a random one that the file knows by its digest, unsigned")
    add("list-keys", "print keys, static tokens and teams, without any secret")
    rotate = add("rotate", "sign with a new key from now on; also makes the first one")
    grace = "how long tokens of the key before still hold (default %(default)s); 0 ends them at once"
    rotate.add_argument("--grace-days", type=float, default=DAYS, metavar="DAYS", help=grace)
    _add_team(add("revoke", "refuse every token that a team has so far"))
    limit = add("limit", "give a team a rate and a quota of its own")
    _add_team(limit)
    limit.add_argument("--rate", default="", metavar="N/TIME", help="requests, as 600/minute (default: the server's)")
    limit.add_argument(
        "--quota", default="", metavar="N/TIME", help="looked-up ids, as 5000000/day (default: the server's)"
    )


def _add_team(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--team", required=True, metavar="TEAM", help="lower-case letters, digits, - and _")
