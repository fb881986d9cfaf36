"""The table counts what was struck, names what was not survived, and keeps its place in the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.faults.choice import faults_of, share_of
from tests.faults.seam import Fault
from tests.faults.table import BEGIN, END, TWO_AT_ONCE, table, write_table


def _row(fault: str, *wrong: str, struck: bool = True) -> dict[str, Any]:
    counts = {"points": 9, "places": 4, "wall_s": 1.0}
    return {"home": "drawn", "job": "promote", "fault": fault, "struck": struck, "wrong": list(wrong), **counts}


def test_rows_are_counted_by_job_and_the_lost_are_named() -> None:
    text = table([_row("kill at a"), _row("EIO at b", "another c"), _row("kill at d", struck=False), _row(TWO_AT_ONCE)])
    assert "| drawn | promote | 9 | 4 | 2 | 1 | survived | 1 |" in text
    assert text.endswith("Not survived:\n\n- promote, EIO at b: another c\n")
    assert table([_row("kill at a")]).endswith("Every one was survived.\n")


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    for text in ("new\n", "newer\n"):
        write_table(text, page)
    assert page.read_text() == f"before\n{BEGIN}newer\n{END}after\n"


def test_each_place_is_killed_at_first_and_fails_at_last_as_it_can() -> None:
    places = ["mkdir a", "write a", "write a", "sync a", "send ledger"]
    assert [str(fault) for fault in faults_of(places)] == [
        *("kill at mkdir a", "full at mkdir a", "kill at write a", "full at write a (2)"),
        *("kill at sync a", "EIO at sync a", "kill at send ledger", "EPIPE at send ledger"),
    ]
    assert len(faults_of(["write a"] * 3, every=True)) == 6
    assert share_of([Fault("kill", str(n)) for n in range(10)], 2) == [Fault("kill", "0"), Fault("kill", "5")]
