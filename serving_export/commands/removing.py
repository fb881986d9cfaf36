"""Commands that remove: erase, retention."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from training.command_line import Answer, answers
from training.contracts.errors import UsageError
from training.settings import Settings


@click.command()
@click.option("--user", "user_ids", multiple=True, metavar="ID", help="external id; may be repeated")
@click.option("--users", "users_file", metavar="FILE", help="file of external ids, one a line")
@click.option("--reason", default="", help="why; it is recorded, the users are not")
@click.option("--now", is_flag=True, help="take them out of everything now, and what was asked for before")
@click.option("--verify", "only_looks", is_flag=True, help="look for them in every file; exit status 1 with the places")
@answers
def erase(user_ids: tuple[str, ...], users_file: str | None, reason: str, now: bool, only_looks: bool) -> Answer:
    """Make users unreadable at once, and gone from everything by the next run's end; the output names nobody."""
    from serving_export.erasure.erase import carry_out, request_erasure, told, verify
    from serving_export.erasure.requests import read_ids

    if now and only_looks:
        raise UsageError("expected --now or --verify, found both; look for them once they are gone")
    settings = Settings.from_env()
    users = [*user_ids, *(read_ids(Path(users_file)) if users_file else [])]
    if only_looks:
        places = verify(settings, users)
        found = f"expected nothing to name them, found {told(places)}; run `erase --now`" if places else ""
        return Answer(values={"places": places}, text="" if places else "nothing names them", error=found)
    values: dict[str, Any] = {}
    lines: list[str] = []
    if users or not now:
        values["requested"] = request_erasure(settings, users, reason)
        lines.append(f"{values['requested']['num_users']} users are unknown to every lookup from now on")
    if now:
        values["done"] = carry_out(settings)
        lines.append(f"{values['done']['users']} users are gone: {_removed(values['done'])}")
    else:
        lines.append("they are gone from everything by the end of the next daily run, or now: `erase --now`")
    note = values.get("done", values.get("requested", {})).get("note")
    return Answer(values=values, text="\n".join([*lines, *filter(None, [note])]))


@click.command()
@click.option("--dry-run", is_flag=True, help="print what would go, and remove nothing")
@answers
def retention(dry_run: bool) -> Answer:
    """Remove what is older than the policy keeps and nothing needs."""
    from serving_export.retention_plan import plan
    from serving_export.retention_run import apply_retention

    settings = Settings.from_env()
    chosen = plan(settings) if dry_run else apply_retention(settings)
    lines = [f"{kind}: {name}" for kind, found in chosen.paths.items() for name in found]
    lines += [f"MLflow run: {model} {name}" for model, name in chosen.runs]
    lines += [f"online space: {view} {space}" for view, spaces in chosen.online.items() for space in spaces]
    counts = ", ".join(f"{count} {kind}" for kind, count in chosen.counts.items()) or "nothing"
    summary = f"would remove {counts}" if dry_run else f"removed {counts}"
    return Answer(values={"removed": not dry_run, **asdict(chosen)}, text="\n".join([*lines, summary]))


def _removed(done: dict[str, Any]) -> str:
    counts = {**done["removed"], **({"late rows": done["late"]} if done["late"] else {})}
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nothing named them"
