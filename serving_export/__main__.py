"""Look up, rank, inspect and move what is served: `python -m serving_export COMMAND --help`.

Answers go to stdout, progress to stderr. Exit status: 0 done, 1 failed or unknown id, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import logging
import sys

from serving_export import commands
from serving_export.commands import Answer
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.library_logs import start_logging


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the arguments name and return the exit status."""
    options = build_parser().parse_args(arguments)
    start_logging(logging.DEBUG if options.debug else logging.INFO)
    try:
        return _print(options.run(options), as_json=options.json)
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return _fail("interrupted; what was served before goes on being served")
    except AttuneError as error:
        if options.debug:
            raise
        return _fail(str(error))
    except Exception as error:  # the last resort of a command line: one line, the traceback behind --debug
        if options.debug:
            raise
        return _fail(f"{type(error).__name__}: {error} (add --debug for the traceback)")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = argparse.ArgumentParser(prog="python -m serving_export", description=__doc__.split("\n\n")[0])
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_reading(subparsers)
    _add_ranking(subparsers)
    _add_moving(subparsers)
    return parser


def _add_reading(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    lookup = _command(subparsers, "lookup", "print users' vectors, their space, as_of, age and whether they are stale")
    lookup.add_argument("--user", action="append", required=True, metavar="ID", help="external id; may be repeated")
    _add_space(lookup)
    _command(subparsers, "status", "print live, legacy and candidate spaces, snapshots, partitions and consumers")
    lineage = _command(subparsers, "lineage", "lead a user's served vector back to the raw files")
    lineage.add_argument("--user", required=True, metavar="ID", help="external id")
    _add_space(lineage)
    serve = _command(subparsers, "serve", "answer lookups over HTTP until stopped")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=int, default=8600, help="port to listen on (default %(default)s)")


def _add_ranking(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for name, what, query in (("recommend", "a user's best items", "user"), ("target", "an item's best users", "item")):
        parser = _command(subparsers, name, f"print {what}, best first")
        parser.add_argument(f"--{query}", dest="query", required=True, metavar="ID", help="external id")
        parser.add_argument("--k", type=int, default=10, help="how many (default %(default)s)")
        _add_consumer(parser)
        if name == "recommend":
            unknown = (
                "a user that the snapshot does not hold: an error (default), or the items that most users have met"
            )
            parser.add_argument("--unknown", choices=("raise", "popularity"), default="raise", help=unknown)
    rank = _command(subparsers, "rank", "write full rankings to a file, best first")
    rank.add_argument(
        "--task", choices=("recommend", "target"), required=True, help="items for users, or users for items"
    )
    rank.add_argument("--k", type=int, default=50, help="longest list (default %(default)s)")
    rank.add_argument("--out", required=True, metavar="FILE", help="file to write, whole or not at all")
    form = (
        "tsv: id<TAB>ids, for ids without white space; parquet, jsonl: any ids, with scores (default: by FILE's ending)"
    )
    rank.add_argument("--format", choices=("tsv", "parquet", "jsonl"), help=form)
    rank.add_argument("--ids", metavar="FILE", help="rank for these ids, one a line (default: all)")
    unknown = "what to do with ids that the snapshot does not hold (default %(default)s: leave them out and say so)"
    rank.add_argument("--unknown", choices=("raise", "warn", "ignore"), default="warn", help=unknown)
    _add_consumer(rank)


def _add_moving(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rollback = _command(subparsers, "rollback", "serve what was served before the last promotion; nothing is retrained")
    rollback.add_argument("--to", type=int, metavar="SEQUENCE", help="return to this past pointer exactly")
    rollback.add_argument("--further", action="store_true", help="go back once more after a rollback")
    _command(subparsers, "reconcile", "bring ledger, online store and MLflow in line with what is served")
    pin = _command(subparsers, "pin", "keep a consumer or an outside team on a space, which is then not retired")
    pin.add_argument("consumer", metavar="CONSUMER")
    pin.add_argument("space_id", metavar="SPACE")
    unpin = _command(subparsers, "unpin", "let a consumer follow the live space again")
    unpin.add_argument("consumer", metavar="CONSUMER")
    lost = "why users that are served may be missing from now on; it is recorded"
    _add_publishing(subparsers, "refresh", "publish a partition's vectors of every served space", "--accept-loss", lost)
    _add_erasing(subparsers)
    forced = "why to promote what its gate did not accept, a rollback has left, or loses users; it is recorded"
    what = "make a partition's candidate space live, once its consumers are ready"
    _add_publishing(subparsers, "promote", what, "--force", forced)


def _add_erasing(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    erase = _command(
        subparsers, "erase", "make users unreadable at once, and gone from everything by the next run's end"
    )
    erase.add_argument("--user", action="append", default=[], metavar="ID", help="external id; may be repeated")
    erase.add_argument("--users", metavar="FILE", help="file of external ids, one a line")
    erase.add_argument("--reason", default="", help="why; it is recorded, the users are not")
    retention = _command(subparsers, "retention", "remove what is older than the policy keeps and nothing needs")
    retention.add_argument("--dry-run", action="store_true", help="print what would go, and remove nothing")
    do = erase.add_mutually_exclusive_group()
    do.add_argument("--now", action="store_true", help="take them out of everything now, and what was asked for before")
    do.add_argument("--verify", action="store_true", help="look for them in every file; exit status 1 with the places")


def _add_publishing(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, option: str, reason: str
) -> None:
    parser = _command(subparsers, name, what)
    parser.add_argument("--partition", type=_partition, required=True, metavar="D", help="UTC day, YYYY-MM-DD")
    parser.add_argument(option, default="", metavar="REASON", help=reason)


def _command(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    parser.set_defaults(run=getattr(commands, name))
    return parser


def _add_space(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--space", metavar="SPACE", help="read a served space other than the live one")


def _add_consumer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--consumer", default="matching", help="whose vectors to rank by (default %(default)s)")
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument(
        "--drop-seen", dest="drop_seen", action="store_true", default=True, help="without seen pairs (default)"
    )
    seen.add_argument("--keep-seen", dest="drop_seen", action="store_false", help="with pairs that have interacted")
    _add_space(parser)


def _partition(text: str) -> Partition:
    try:
        return Partition.parse(text)
    except AttuneError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _print(answer: Answer, *, as_json: bool) -> int:
    if as_json:
        print(commands.to_json(answer.values))
    elif answer.text:
        print(answer.text)
    if answer.error:
        return _fail(answer.error)
    return 0


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
