"""Run the server profile natively and lose workers: `make check-server`; docker/README.md has its table.

Everything that compose.yaml starts is started as a process with the environment that Compose would give it; days of
simulated logs are triggered through Airflow's REST API, and while a reader looks users up without pause, the worker
that runs `train`, then the one that runs `promote`, is killed by signal 9 with all its processes.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from serving_export.access.book import change_book, utc_now
from tests.docker.native.composed import read_env_file
from tests.docker.native.stack import Stack, started
from tests.docker.native.story import ASKED_AT_ONCE, Lost, Story
from tests.docker.native.world import DOCKER, World

STEPS = {
    "train": ("train_user_encoder", "train", "spaces"),
    "promote": ("promote_space", "promote", "published"),
}
"""For each loss, the DAG, its task, and the folder in which the task is seen at work."""


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for, and return 1 where anything came out wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.docker.native", description=__doc__)
    parser.add_argument("--folder", type=Path, help="an empty folder to keep; else a temporary one")
    parser.add_argument("--lose", nargs="*", choices=STEPS, default=list(STEPS), help="tasks whose worker is killed")
    given = parser.parse_args(arguments)
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="attune-native-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        variables = prepare(folder)
        with started(World(folder, variables), say) as (stack, took):
            return tell(stack, took, variables, given.lose, say)


def prepare(folder: Path) -> dict[str, str]:
    """Write an .env and the lookup server's keys as an operator would, and return the variables."""
    access = folder / "access.json"
    change_book(access, lambda book: book.rotated(timedelta(days=1), utc_now()))
    make_env().main(folder)
    own = {"LOOKUP_ACCESS_FILE": str(access), "ATTUNE_SCHEDULE": "manual"}
    return {**read_env_file(folder / ".env"), **own}


def make_env() -> ModuleType:
    """Return docker/make_env.py, which is no package's."""
    spec = importlib.util.spec_from_file_location("make_env", DOCKER / "make_env.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tell(
    stack: Stack, took: dict[str, float], variables: dict[str, str], lose: list[str], say: Callable[[str], None]
) -> int:
    """Bring an undisturbed day and a day for each loss; print the tables, and return 1 where anything is wrong."""
    story = Story(stack, Path(variables["LOOKUP_ACCESS_FILE"]), variables["AIRFLOW_ADMIN_PASSWORD"], say)
    first, second = story.days[-2:]
    begun = time.monotonic()
    story.bring(first)
    rows = [("every service healthy", max(took.values())), ("a day, from delivery to served", time.monotonic() - begun)]
    wrong = served_wrongly(story, str(first))
    found, end = story.reading(story.users()[:ASKED_AT_ONCE])
    begun = time.monotonic()
    steps = [STEPS[name] for name in lose]
    home = story.settings.home
    losses = story.bring_and_lose(second, [(dag, task, seen_at_work(home / where)) for dag, task, where in steps])
    rows.append((f"a day with {len(losses)} lost workers", time.monotonic() - begun))
    wrong += served_wrongly(story, str(second))
    end()
    wrong += [f"{lost.task} ended {lost.state}" for lost in losses if lost.state != "success"]
    wrong += found.wrong + story.open_doors(variables)
    print(report(rows, losses, found.num, found.spaces, wrong), flush=True)
    return int(bool(wrong))


def seen_at_work(folder: Path) -> Callable[[], bool]:
    """Return what says whether anything new lies in a folder since it was first asked."""
    known: set[Path] = set()
    asked: list[bool] = []

    def is_new() -> bool:
        now = {path for path in folder.rglob("*") if "lock" not in path.name} if folder.exists() else set()
        if not asked:
            asked.append(True)
            known.update(now)
        return bool(now - known)

    return is_new


def served_wrongly(story: Story, day: str) -> list[str]:
    """Return what is not as it must be after a day: promoted, looked up, every store in line, nothing mixed."""
    status, reconciled = story.status(), story.reconcile()
    live, users = status["live"], story.users()
    answer = story.look_up(users[:ASKED_AT_ONCE])
    wrong = [] if live["partition"] == day else [f"{day}: {live['partition']} is served"]
    if live["space_id"].replace("-", "")[:8] != day.replace("-", ""):
        wrong.append(f"{day}: space {live['space_id']} of another day is live")
    if (answer["space_id"], len(answer["users"])) != (live["space_id"], len(users[:ASKED_AT_ONCE])):
        wrong.append(f"{day}: the lookup service answers from {answer['space_id']}")
    wrong += [f"{day}: {name}: {why}" for name, why in reconciled["pending"].items()]
    return wrong


def report(rows: list[Any], losses: list[Lost], num: int, spaces: list[str], wrong: list[str]) -> str:
    """Return the tables that docker/README.md holds."""
    lines = ["", "| measured | seconds |", "| --- | --- |", *(f"| {what} | {seconds:.0f} |" for what, seconds in rows)]
    lines += [
        "",
        "| worker lost in | tried again by | after | done after | tries |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {x.task} | {x.next_worker} | {x.taken_up_s:.0f} s | {x.done_s:.0f} s | {x.tries} |" for x in losses]
    lines += [
        "",
        f"{num} lookups meanwhile, of spaces {', '.join(spaces)}; wrong: {'; '.join(wrong[:10]) or 'nothing'}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
