"""The door follows the file of keys, and stays shut where there should be one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from serving_export.access.book import Team, change_book, utc_now
from serving_export.access.tokens import InvalidToken, issue, issue_static
from serving_export.http import door
from serving_export.http.door import LOCAL, Door
from tests.serving_export.http.conftest import Bearer
from tests.serving_export.world import World
from training.contracts.errors import AttuneError


def heads(header: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in header.items()]


def test_without_keys_everyone_of_this_machine_gets_in_until_there_are_some(world: World) -> None:
    open_door = Door(world.settings)
    assert open_door.grant([]) == (LOCAL, None)
    assert not open_door.is_keyed
    change_book(world.settings.access_path, lambda book: book.rotated(timedelta(days=1), utc_now()))
    with pytest.raises(InvalidToken):
        open_door.grant([])
    world.settings.access_path.unlink()
    with pytest.raises(AttuneError, match="nobody is let in"):
        open_door.grant([])


@pytest.mark.parametrize("how", ["keyed", "named", "there"])
def test_a_door_that_is_to_have_keys_is_shut_without(world: World, bearer: Bearer, how: str, tmp_path: Path) -> None:
    header = heads(bearer())
    settings = replace(world.settings, access_file=tmp_path / "none") if how == "named" else world.settings
    if how == "keyed":
        settings.access_path.unlink()
    shut = Door(settings, keyed=how == "keyed")
    if how == "there":
        settings.access_path.unlink()
    with pytest.raises(AttuneError, match="nobody is let in"):
        shut.grant(header)


def test_limits_are_the_team_s_own_or_the_server_s(world: World, bearer: Bearer) -> None:
    search, ads = heads(bearer("search")), heads(bearer("ads"))
    change_book(world.settings.access_path, lambda book: replace(book, teams={"search": Team(rate="7/second")}))
    keyed = Door(replace(world.settings, request_rate="5/minute", id_quota="9/day"))
    found = {grant.team: limits for grant, limits in (keyed.grant(search), keyed.grant(ads))}
    assert [str(item) for item in vars(found["search"]).values()] == ["7 per 1 second", "9 per 1 day"]
    assert [str(item) for item in vars(found["ads"]).values()] == ["5 per 1 minute", "9 per 1 day"]


def test_a_verified_token_is_remembered_and_no_longer_than_it_holds(
    world: World, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, keyed = heads(bearer()), Door(world.settings)
    granted, _ = keyed.grant(header)
    verified: list[str] = []
    verify = door.verify
    monkeypatch.setattr(door, "verify", lambda *given: verified.append(given[1]) or verify(*given))
    assert keyed.grant(header)[0] is granted
    assert verified == []
    monkeypatch.setattr(door.time, "time", lambda: granted.expires_at + 1)
    keyed.grant(header)
    assert len(verified) == 1


def test_no_more_tokens_are_remembered_than_are_to_be(
    world: World, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer()
    monkeypatch.setattr(door, "REMEMBERED", 3)
    book = change_book(world.settings.access_path, lambda book: book)
    keyed = Door(world.settings)
    for days in range(1, 11):
        token = issue(book, "search", ["rank"], timedelta(days=days), utc_now())
        keyed.grant(heads({"authorization": f"Bearer {token}"}))
        assert len(keyed._known) <= 3


def test_a_static_token_alone_is_enough(world: World) -> None:
    token, entry = issue_static("laptop", ["lookup"], timedelta(days=1), utc_now())
    change_book(world.settings.access_path, lambda book: replace(book, static=(entry,)))
    assert Door(world.settings).grant(heads({"authorization": f"bearer  {token} "}))[0].team == "laptop"
