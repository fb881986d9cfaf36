"""The arguments of the token commands have their defaults."""

from __future__ import annotations

from serving_export.__main__ import build_parser


def test_the_defaults() -> None:
    issue = build_parser().parse_args(["tokens", "issue", "--team", "a"])
    assert (issue.scopes, issue.days, issue.static) == ("lookup,rank", 30, False)
    assert build_parser().parse_args(["tokens", "rotate"]).grace_days == 30
    limit = build_parser().parse_args(["tokens", "limit", "--team", "a"])
    assert (limit.rate, limit.quota) == ("", "")
