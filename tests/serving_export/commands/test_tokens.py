"""Keys, tokens and limits of teams are kept from the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from serving_export.__main__ import main
from serving_export.access.book import read_book
from serving_export.access.tokens import InvalidToken, verify
from serving_export.commands.tokens import issue, limit, rotate, tokens
from tests.serving_export.world import World


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["tokens", *arguments, "--json"]) == 0
    values: dict[str, object] = json.loads(capsys.readouterr().out)
    return values


@pytest.mark.parametrize("action", sorted(tokens.commands))
def test_every_action_has_help(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokens", action, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_a_token_is_issued_rotated_past_and_revoked(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokens", "issue", "--team", "search"]) == 1
    assert "tokens rotate" in capsys.readouterr().err
    first = run(capsys, "rotate")
    token = str(run(capsys, "issue", "--team", "search", "--scopes", "lookup, history")["token"])
    path, now = world.settings.access_path, datetime.now(UTC)
    assert verify(read_book(path), token, now).scopes == {"lookup", "history"}
    assert run(capsys, "rotate")["older"] == [first["kid"]]
    assert verify(read_book(path), token, now).team == "search"
    run(capsys, "revoke", "--team", "search")
    with pytest.raises(InvalidToken):
        verify(read_book(path), token, now)


def test_the_list_tells_no_secret(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "rotate")
    token = str(run(capsys, "issue", "--team", "laptop", "--static", "--days", "3")["token"])
    run(capsys, "limit", "--team", "search", "--rate", "60/minute")
    assert main(["tokens", "list-keys"]) == 0
    shown = capsys.readouterr().out
    book = read_book(world.settings.access_path)
    assert [line.split()[0] for line in shown.splitlines()] == ["key", "static", "team"]
    assert "rate=60/minute" in shown
    for secret in (token, book.signs.secret, book.static[0].sha256):
        assert secret not in shown + json.dumps(run(capsys, "list-keys"))


def test_what_cannot_be_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "rotate")
    for arguments in (
        ["issue", "--team", "A B"],
        ["issue", "--team", "a", "--scopes", "root"],
        ["issue", "--team", "a", "--days", "999"],
    ):
        assert main(["tokens", *arguments]) == 1
        assert capsys.readouterr().err.startswith("error: expected ")
    assert main(["tokens", "limit", "--team", "a", "--rate", "lots"]) == 1
    assert "600/minute" in capsys.readouterr().err


def test_the_defaults() -> None:
    made = issue.make_context("issue", ["--team", "a"]).params
    assert (made["scopes"], made["days"], made["static"]) == ("lookup,rank", 30, False)
    assert rotate.make_context("rotate", []).params["grace_days"] == 30
    made = limit.make_context("limit", ["--team", "a"]).params
    assert (made["rate"], made["quota"]) == ("", "")
