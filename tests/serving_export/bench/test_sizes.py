"""Each size has a line for a lookup and one for opening, and the last says how a lookup grows."""

from __future__ import annotations

from pathlib import Path

from serving_export.bench.sizes import size_timings


def test_two_lines_per_size_and_one_over_all(tmp_path: Path) -> None:
    *lines, growth = size_timings(tmp_path, [200, 500], seed=3, repeats=1)
    assert [line.what.partition(" users")[0] for line in lines] == [
        "lookup of 100 of 200",
        "opening 200",
        "lookup of 100 of 500",
        "opening 500",
    ]
    for line in lines:
        assert min(line.ours, *line.limits.values()) > 0
    assert growth.what == "lookup of 100 of 500 over 200 users"
    assert growth.ours == lines[2].ours / lines[0].ours
    assert list(growth.targets()) == ["≤ 1.5"]
    assert [list(line.targets()) for line in lines] == [[], ["≤ 1"]] * 2
