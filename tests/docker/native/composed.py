"""Read a compose file as Compose does: variables put in, merges resolved, and to each service its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::(?P<kind>[?-])(?P<word>[^}]*))?\})")


class UnsetVariable(ValueError):
    """A variable that the file requires has no value; Compose stops there too."""


def read_env_file(path: Path) -> dict[str, str]:
    """Return the assignments of an env file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def read_compose(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the file's content with every `${...}` replaced and each environment resolved.

    Raises:
        UnsetVariable: `${NAME:?...}` without a value.
    """
    document = put_in(yaml.safe_load(path.read_text(encoding="utf-8")), variables)
    for service in document["services"].values():
        service["environment"] = resolved(service.get("environment", {}), variables)
    return dict(document)


def put_in(value: Any, variables: Mapping[str, str]) -> Any:
    """Return `value` with the variables of every text in it replaced, as Compose interpolates values and not keys."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value(found, variables), value)
    if isinstance(value, list):
        return [put_in(entry, variables) for entry in value]
    return {key: put_in(entry, variables) for key, entry in value.items()} if isinstance(value, dict) else value


def resolved(environment: Mapping[str, str | None], variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which what has no value is taken from outside, or is absent."""
    given = {name: variables.get(name) if value is None else value for name, value in environment.items()}
    return {name: value for name, value in given.items() if value is not None}


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["escaped"]:
        return "$"
    value = variables.get(found["name"], "")
    if value or found["kind"] is None:
        return value
    if found["kind"] == "?":
        raise UnsetVariable(f"expected {found['name']} to be set, found nothing: {found['word']}")
    return str(found["word"])
