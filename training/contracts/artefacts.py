"""Reference artefacts by value: what jobs return, what DAG tasks pass on, what manifests hold.

Each is frozen and goes to and from JSON, so that a task never passes a live object.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A JSON-able reference."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the fields as one line of JSON, keys sorted."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the reference that `to_dict` described; unknown keys are an error."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise TypeError(f"{cls.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        return cls(**values)


NOT_MEASURED = "not measured: "


@dataclass(frozen=True, kw_only=True)
class Check(Artefact):
    """One line of a gate: what was looked at, what was seen, what was allowed."""

    name: str
    passed: bool
    observed: str
    allowed: str

    @classmethod
    def not_measured(cls, name: str, why: str, allowed: str) -> Self:
        """Return the check of a figure that could not be had: it blocks nothing, and says so."""
        return cls(name=name, passed=True, observed=NOT_MEASURED + why, allowed=allowed)

    @property
    def outcome(self) -> str:
        """One of "passed", "failed" and "not measured"."""
        if not self.passed:
            return "failed"
        return "not measured" if self.observed.startswith(NOT_MEASURED) else "passed"


@dataclass(frozen=True, kw_only=True)
class GateDecision(Artefact):
    """Whether an artefact may go on. A refusal is a value, not an error: yesterday's goes on being served.

    Attributes:
        subject: What was judged.
        partition: Whose artefact it is.
        accepted: Whether it may go on.
        checks: What was looked at.
        report: Path of the page, relative to the home.
        not_applicable: What the log lacks for there to be anything to judge; such a one is neither accepted nor
            refused. Empty where there is something.
    """

    subject: str
    partition: str
    accepted: bool
    checks: tuple[Check, ...]
    report: str
    not_applicable: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the decision, its checks restored."""
        checks = tuple(Check.from_dict(dict(check)) for check in values["checks"])
        return cls(**{**values, "checks": checks})

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence for each check that failed."""
        return tuple(f"{c.name}: {c.observed}, allowed {c.allowed}" for c in self.checks if not c.passed)

    @property
    def verdict(self) -> str:
        """One of "accepted", "refused" and "not applicable"."""
        if self.not_applicable:
            return "not applicable"
        return "accepted" if self.accepted else "refused"

    @property
    def account(self) -> str:
        """The verdict with its reasons, on one line."""
        why = self.not_applicable or "; ".join(self.reasons)
        return f"{self.verdict}: {why}" if why else self.verdict


@dataclass(frozen=True, kw_only=True)
class SpaceRef(Artefact):
    """One trained encoder with its item space: `space_id` is YYYYMMDD-<8 hex of content>."""

    space_id: str
    item_space_id: str
    partition: str


@dataclass(frozen=True, kw_only=True)
class ModelRef(Artefact):
    """One trained consumer model; it reads vectors of `space_id` and of no other space."""

    consumer: str
    version: str
    space_id: str
    partition: str
