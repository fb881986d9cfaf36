"""The table names every count, and what is broken."""

from __future__ import annotations

from serving_export.bench.soak.events import Sent
from serving_export.bench.soak.processes import Trend
from serving_export.bench.soak.run import Account
from serving_export.bench.soak.table import table


def test_every_part_is_told() -> None:
    account = Account(
        done=[(12.0, "rollback", 1.5)],
        trends=[Trend("lookups [1]", 100.0, 110.0, 0.5, 2.0)],
        sent={"straight": Sent({"a": {}}, repeated=3, dead={"missing": 2}, again=1)},
        dead={"missing": 2},
        fresh=7,
        parity=[{"users": 7, "p50": 0.0, "p90": 1e-6, "p99": 1e-5, "p100": 1e-5}],
    )
    account.tally.answered("recommend", 0.01, 200, 200, b"")
    account.tally.check("as the home's own", 1234)
    found = table(account, 10)
    for line in (
        "**Soak**, 10 minutes",
        "| recommend | 1 | 10.0 | 10.0 | 0 | 0 | 0 |",
        "| 12 | rollback | 1.5 |",
        "| lookups [1] | 100 | 110 | +0.50 |",
        "| straight | 1 | 3 | 2 | 1 |",
        "| as the home's own | 1,234 |",
        "| users read over the snapshot at the end | 7 |",
        "| 0 | 7 | 0 | 1e-06 | 1e-05 | 1e-05 |",
        "| missing | 2 |",
        "Nothing is broken.",
    ):
        assert line in found
    account.tally.fail("one thing")
    assert "- one thing" in table(account, 10)
    assert "Nothing is broken." not in table(account, 10)
