"""Benchmark from the command line: `python -m training.bench quality --data DIR --data DIR`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

from training.contracts.errors import AttuneError
from training.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 after one line that says what was wrong."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        return _run(options)
    except AttuneError as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    from training.bench.quality.report import report_dir
    from training.bench.shared.readme import rewrite, written_parts

    settings = Settings.from_env()
    if options.what == "readme":
        print("rewrote", ", ".join(rewrite(options.page, written_parts(report_dir(settings)))) or "nothing")
        return 0
    folders = [Path(name).expanduser() for given in options.data for name in given.split(",") if name]
    for table in _tables(settings, options, folders).values():
        print(table)
    print(f"Tables and pictures: {report_dir(settings)}")
    return 0


def _tables(settings: Settings, options: argparse.Namespace, folders: list[Path]) -> dict[str, str]:
    """Run what was asked for; only its own modules are imported."""
    if options.what == "import":
        from training.bench.speed.imports import import_table

        return {"import": import_table(settings, options.rows)}
    if options.what == "losses":
        from training.bench.losses.report import run_losses
        from training.bench.shared.simulated import benchmarked_logs

        return run_losses(settings, benchmarked_logs(settings, folders), options.seeds)
    if options.what == "cold-start":
        from training.bench.cold_start.report import run_cold_start

        return run_cold_start(settings, folders, options.seeds, simulator=True)
    if options.what == "multi-interest":
        from training.bench.multi_interest.report import run_multi_interest

        return run_multi_interest(settings, folders, options.seeds)
    if options.what == "samplers":
        from training.bench.samplers.report import SamplerBenchConfig, run_samplers
        from training.bench.shared.simulated import benchmarked_logs

        config = SamplerBenchConfig(num_seeds=options.seeds)
        return run_samplers(settings, benchmarked_logs(settings, folders), config)
    from training.bench.quality.report import run_quality

    simulator = options.simulator or not folders
    return run_quality(settings, folders, options.protocol or ["temporal"], options.seeds, simulator=simulator)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.bench", description=__doc__)
    parser.add_argument(
        "what",
        choices=["quality", "losses", "cold-start", "multi-interest", "samplers", "import", "readme"],
        help="measure, or put the tables in a page",
    )
    parser.add_argument(
        "--data", action="append", default=[], help="folder of public logs, else simulated ones; may be repeated"
    )
    parser.add_argument("--protocol", action="append", choices=["temporal", "loo"], help="default: temporal")
    parser.add_argument("--simulator", action="store_true", help="simulated logs too; the default without --data")
    parser.add_argument(
        "--page", type=Path, default=Path(__file__).with_name("README.md"), help="page that `readme` rewrites"
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each random fit (default 3)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of CSV to import (default 1000000)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
