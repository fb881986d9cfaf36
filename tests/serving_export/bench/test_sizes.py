"""Each size has a line for a lookup and one for opening."""

from __future__ import annotations

from pathlib import Path

from serving_export.bench.sizes import size_timings


def test_two_lines_per_size(tmp_path: Path) -> None:
    lines = size_timings(tmp_path, [200, 500], seed=3, repeats=1)
    assert [line.what.partition(" users")[0] for line in lines] == [
        "lookup of 100 of 200",
        "opening 200",
        "lookup of 100 of 500",
        "opening 500",
    ]
    for line in lines:
        assert min(line.ours, *line.limits.values()) > 0
