"""Neighbours of users and items, as text and as JSON."""

from __future__ import annotations

import json

import pytest

from serving_export.__main__ import main
from tests.serving_export.world import DAY1, World


def test_neighbours_of_users_and_items(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    [space_id] = world.promote(DAY1)
    assert main(["similar-users", "--user", "u05", "--k", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["query"], len(answer["ids"]), answer["space_id"]) == ("u05", 3, space_id)
    assert main(["similar-items", "--item", "i03", "--k", "3"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert sorted(lines, key=lambda line: -float(line[1])) == lines
    assert main(["similar-items", "--item", "i99"]) == 1
    assert "unknown item 'i99'" in capsys.readouterr().err
