"""Judge what a reader was told: no error but the erased user's, no mixed vector, no missing user."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.dags.backfill.marks import Marks
from tests.dags.backfill.published import Published, holds_ranking, holds_vectors, users_of

KINDS = ("error", "mixed", "missing", "leaked")
_SHOWN = 20


@dataclass(frozen=True)
class Told:
    """One answer, and between which states of the world it was given.

    Attributes:
        kind: "lookup", "recommend" or "target".
        asked: The users, or the one item, that were asked for.
        space: The space that was asked for; empty for what is live.
        frame: The frame that was asked for.
        status: Of HTTP; 0 where nothing answered.
        body: The answer, or what went wrong.
        before: What held when it was asked.
        after: What held once it was there.
    """

    kind: str
    asked: tuple[str, ...]
    status: int
    body: dict[str, Any]
    before: Marks
    after: Marks
    space: str = ""
    frame: str = ""


@dataclass
class Judge:
    """Counts answers and keeps their faults.

    Attributes:
        published: What was ever on disk.
        known: Every user who was ever answered for.
        counts: Vectors looked up, rankings, refusals of the erased user, and faults by kind.
        faults: What was wrong, the first of many.
        spaces: How many answers named each space.
    """

    published: Published
    known: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    spaces: Counter[str] = field(default_factory=Counter)

    def report(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {"counts": dict(self.counts), "faults": self.faults, "spaces": dict(self.spaces)}

    def take(self, told: Told) -> None:
        """Count one answer and hold it against what was published."""
        self.counts["answers"] += 1
        if told.status != 200:
            self._refused(told)
        elif told.kind == "lookup":
            self._lookup(told)
        else:
            self._ranking(told)

    def _refused(self, told: Told) -> None:
        """Only one who is being erased may be refused, and only as unknown."""
        mine = told.kind != "target" and told.asked == (told.after.erasing,)
        if mine and told.status == 404:
            self.counts["refused"] += 1
        else:
            self._fault("error", f"{told.status} {told.body} of {_asked(told)}")

    def _lookup(self, told: Told) -> None:
        answer = told.body
        answered = {user["user_id"] for user in answer["users"]}
        self.counts["vectors"] += len(answered)
        self.spaces[answer["space_id"]] += 1
        named = self.published.named(answer)
        whole = [one for one in named if holds_vectors(one, answer, told.frame)]
        if not whole or not _of_one_name(answer) or told.space not in ("", answer["space_id"]):
            self._fault("mixed", f"{_name(answer)} of {_asked(told)} is none of {len(named)} snapshots")
        self._complete(told, answered, set().union(*map(users_of, whole)) if whole else set())

    def _complete(self, told: Told, answered: set[str], there: set[str]) -> None:
        """Everyone whom the snapshot holds or who was known before has to be answered for, but for the erased."""
        due = (there | self.known) & set(told.asked) - {told.after.erasing}
        if lost := due - answered:
            self._fault("missing", f"{len(lost)} users, {min(lost)} first, in {_name(told.body)} of {_asked(told)}")
        if told.before.erased in answered:
            self._fault("leaked", f"the erased user in {_name(told.body)} of {_asked(told)}")
        self.known |= answered

    def _ranking(self, told: Told) -> None:
        answer, query = told.body, "item" if told.kind == "target" else "user"
        self.counts["rankings"] += 1
        self.spaces[answer["space_id"]] += 1
        named = self.published.named(answer)
        pinned = told.before.pinned
        if not any(holds_ranking(one, answer, query) for one in named) or pinned not in ("", answer["space_id"]):
            self._fault("mixed", f"{_name(answer)} of {_asked(told)} is none of {len(named)} snapshots' model")
        if not answer["ids"]:
            self._fault("missing", f"nothing in {_name(answer)} of {_asked(told)}")
        if told.before.erased and told.before.erased in (*answer["ids"], answer["query"]):
            self._fault("leaked", f"the erased user in {_name(answer)} of {_asked(told)}")

    def _fault(self, kind: str, what: str) -> None:
        self.counts[kind] += 1
        if len(self.faults) < _SHOWN:
            self.faults.append(f"{kind}: {what}")


def _of_one_name(answer: dict[str, Any]) -> bool:
    return all(user["space_id"] == answer["space_id"] for user in answer["users"])


def _name(answer: dict[str, Any]) -> str:
    return f"{answer['space_id']} of {answer['partition']}"


def _asked(told: Told) -> str:
    who = told.asked[0] if len(told.asked) == 1 else f"{len(told.asked)} users"
    marks = {name: value for name, value in asdict(told.before).items() if value}
    return f"{told.kind} {who}, space {told.space or 'live'}, frame {told.frame or 'none'}, marks {marks}"
