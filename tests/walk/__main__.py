"""Walk many drawn logs: `python -m tests.walk --logs 100 --seed 3` prints how each ends, and fails on any fault."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

import hypothesis
from hypothesis import given

from tests.walk.chain import broken, walk
from tests.walk.logs import Shape, make, shapes
from training.settings import Settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.walk", description=__doc__)
    parser.add_argument("--logs", type=int, default=100, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default %(default)s)")
    options = parser.parse_args()
    faults = 0
    for number, shape in enumerate(drawn(options.logs, options.seed), start=1):
        started = time.monotonic()
        end, is_fault = ending(shape)
        faults += is_fault
        print(f"{number} {time.monotonic() - started:.0f} s {shape}\n  {end}", flush=True)
    print(f"{faults} faults")
    return int(faults > 0)


def drawn(num: int, seed: int) -> list[Shape]:
    found: list[Shape] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=num, database=None, deadline=None, phases=[hypothesis.Phase.generate])
    @given(shapes())
    def keep(shape: Shape) -> None:
        found.append(shape)

    keep()
    return found


def ending(shape: Shape) -> tuple[str, bool]:
    """Return how a log's walk ends, and whether it must not end so."""
    with tempfile.TemporaryDirectory() as home:
        try:
            ended = walk(Settings.from_env({"ATTUNE_HOME": str(Path(home))}), make(shape))
        except Exception:  # every kind is what is looked for
            return traceback.format_exc(), True
    faults = broken(ended)
    return "; ".join(faults) or ended.lack or f"served {ended.consumers}, lacks {ended.not_applicable}", bool(faults)


if __name__ == "__main__":
    sys.exit(main())
