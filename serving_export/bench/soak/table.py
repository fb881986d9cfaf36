"""Tell what a soak came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from serving_export.bench.soak.run import Account


def table(account: Account, minutes: float) -> str:
    """Return the Markdown of an account; what is broken comes last."""
    parts = [
        f"**Soak**, {minutes:g} minutes",
        _rows(
            ("requests", "answered", "p50 ms", "p99 ms", "refused as provoked", "cut by a kill", "wrong"),
            _kinds(account),
        ),
        _rows(("at s", "move", "took s"), ((f"{at:.0f}", name, f"{took:.1f}") for at, name, took in account.done)),
        _rows(("process", "first MB", "last MB", "late trend MB/min"), _memory(account)),
        _rows(("events", "accepted", "sent twice", "buried", "sent again after no answer"), _events(account)),
        _rows(("vectors held against the home's own", "number"), _checked(account)),
        _rows(("part", "users compared with the batch", "p50", "p90", "p99", "worst"), _parity(account)),
        _rows(("dead letters", "number"), ((reason, str(n)) for reason, n in sorted(account.dead.items()))),
        "Nothing is broken." if not account.tally.broken else "**Broken:**\n\n" + _list(account.tally.broken),
    ]
    return "\n\n".join(parts) + "\n"


def _kinds(account: Account) -> Iterable[Sequence[str]]:
    for name, kind in sorted(account.tally.kinds.items()):
        times = [f"{kind.quantile(share):.1f}" if kind.seconds else "" for share in (0.5, 0.99)]
        yield name, f"{len(kind.seconds):,}", *times, str(kind.refusals), str(kind.resets), str(kind.errors)


def _memory(account: Account) -> Iterable[Sequence[str]]:
    for one in account.trends:
        yield one.name, f"{one.first:.0f}", f"{one.last:.0f}", f"{one.per_minute:+.2f}"


def _events(account: Account) -> Iterable[Sequence[str]]:
    for name, sent in sorted(account.sent.items()):
        yield name, f"{len(sent.accepted):,}", str(sent.repeated), str(sum(sent.dead.values())), str(sent.again)


def _checked(account: Account) -> Iterable[Sequence[str]]:
    for outcome, number in sorted(account.tally.checked.items()):
        yield outcome, f"{number:,}"
    yield "users read over the snapshot at the end", f"{account.fresh:,}"


def _parity(account: Account) -> Iterable[Sequence[str]]:
    for number, part in enumerate(account.parity):
        yield str(number), str(part["users"]), *(f"{part[name]:.2g}" for name in ("p50", "p90", "p99", "p100"))


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
