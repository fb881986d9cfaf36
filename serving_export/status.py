"""Say what is served, what was landed and built, and what the last gates decided."""

from __future__ import annotations

from typing import Any

from serving_export.retention import list_snapshots
from training.contracts.artefacts import ModelRef
from training.contracts.errors import AttuneError
from training.ingest.landed_days import late_days
from training.registry.ledger import Ledger
from training.registry.ledger_tables import PATIENCE_S
from training.registry.pointer import Pointer, PublishedSnapshot, find_pointer
from training.settings import Settings
from training.storage import list_partitions

GATES_SHOWN = 10


def status(settings: Settings, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Return the state of a home as JSON values; an empty home gives nulls and empty lists.

    Returns:
        `live`, `legacy`, `pinned` and `candidate` spaces; `spaces` and `consumers` with states and with what the log
        lacks for those that are not applicable, `snapshots` on disk, `partitions` (landed, featured, published), `late`
        days of raw logs with the command that takes them in, `pins`, the `frame` in force and the space that answers
        for each frame, the last `gates`, and the pointer's `sequence`.
    """
    ledger = Ledger(settings, patience_s)
    pointer = find_pointer(settings.published_dir)
    candidate = ledger.candidate()
    snapshots = _snapshots(settings)
    return {
        "home": str(settings.home),
        "sequence": pointer.sequence if pointer else None,
        "live": pointer.live.to_dict() if pointer else None,
        "legacy": pointer.legacy.to_dict() if pointer and pointer.legacy else None,
        "pinned": [entry.to_dict() for entry in pointer.pinned] if pointer else [],
        "candidate": candidate.to_dict() if candidate else None,
        "rollback_to": pointer.previous if pointer else None,
        "spaces": _spaces(ledger),
        "consumers": _consumers(ledger, pointer),
        "snapshots": [entry.to_dict() for entry in snapshots],
        "partitions": {
            "landed": _days(settings, "landed/manifests"),
            "featured": _days(settings, "features/user_profile"),
            "published": sorted({entry.partition for entry in snapshots}),
        },
        "late": _late(settings),
        "pins": ledger.pins(),
        "frame": _frame(pointer),
        "gates": [decision.to_dict() for decision in ledger.gates()[-GATES_SHOWN:]],
    }


def summarise(values: dict[str, Any]) -> str:
    """Return a status as lines for people."""
    lines = [f"home       {values['home']}"]
    for name in ("live", "legacy", "candidate"):
        entry = values[name]
        lines.append(f"{name:<10} {entry['space_id'] + ' of ' + entry['partition'] if entry else 'none'}")
    for name, consumer in values["consumers"].items():
        lines.append(f"consumer   {name}: {_standing(consumer)}")
    for name, days in values["partitions"].items():
        lines.append(f"{name:<10} {len(days)} partitions" + (f", {days[0]} to {days[-1]}" if days else ""))
    lines += [
        f"late       {day['partition']} {day['reason']}{day['command'] and '; run ' + day['command']}"
        for day in values["late"]
    ]
    if values["frame"]["in_force"]:
        lines.append(f"frame      {values['frame']['in_force']}: {_carrier(values)}")
    lines += [f"pinned     {consumer} to {space_id}" for consumer, space_id in values["pins"].items()]
    for gate in values["gates"]:
        lines.append(f"gate       {gate['partition']} {gate['subject']}: {_verdict(gate)}")
    return "\n".join(lines)


def _frame(pointer: Pointer | None) -> dict[str, Any]:
    served = {frame: entry.space_id for frame, entry in sorted(pointer.frames.items())} if pointer else {}
    return {"in_force": pointer.frame if pointer else "", "served_by": served}


def _carrier(values: dict[str, Any]) -> str:
    carrier = values["frame"]["served_by"].get(values["frame"]["in_force"])
    if carrier is None:
        return "no served space is carried in it; frame-start begins a new one"
    live = values["live"]["space_id"]
    return "carries the live space" if carrier == live else f"answered by {carrier}; the live {live} was refused"


def _standing(consumer: dict[str, Any]) -> str:
    served, lacks = consumer["served"], consumer["not_applicable"]
    if served:
        return f"{served['version']} on space {served['space_id']}" + (
            f" (now not applicable: {lacks})" if lacks else ""
        )
    return f"not applicable: {lacks}" if lacks else "not served"


def _verdict(gate: dict[str, Any]) -> str:
    if gate["not_applicable"]:
        return f"not applicable: {gate['not_applicable']}"
    failed = ", ".join(check["name"] for check in gate["checks"] if not check["passed"])
    return "accepted" if gate["accepted"] else f"refused ({failed})"


def _spaces(ledger: Ledger) -> list[dict[str, str]]:
    states = ledger.space_states()
    return [{**ref.to_dict(), "state": states[ref.space_id]} for ref in ledger.spaces()]


def _consumers(ledger: Ledger, pointer: Pointer | None) -> dict[str, dict[str, Any]]:
    states = ledger.model_states()
    lacks = {gate.subject: gate.not_applicable for gate in ledger.gates()}
    found: dict[str, dict[str, Any]] = {}
    for ref in ledger.models():
        consumer = found.setdefault(ref.consumer, {"served": _served(pointer, ref.consumer), "models": []})
        consumer["models"].append(_model(ref, states[ref.consumer, ref.version]))
        consumer["not_applicable"] = lacks.get(f"{ref.consumer} {ref.version}", "")  # the newest model's
    return found


def _served(pointer: Pointer | None, consumer: str) -> dict[str, str] | None:
    for entry in pointer.snapshots if pointer else ():
        if consumer in entry.consumers:
            return {**entry.consumers[consumer], "partition": entry.partition}
    return None


def _model(ref: ModelRef, state: str) -> dict[str, str]:
    return {"version": ref.version, "space_id": ref.space_id, "partition": ref.partition, "state": state}


def _snapshots(settings: Settings) -> list[PublishedSnapshot]:
    if not settings.published_dir.is_dir():
        return []
    spaces = sorted(path.name for path in settings.published_dir.iterdir() if path.is_dir())
    return [entry for space_id in spaces for entry in list_snapshots(settings, space_id)]


def _late(settings: Settings) -> list[dict[str, str]]:
    """What lies in raw must not keep anyone from seeing what is served."""
    try:
        return late_days(settings)
    except AttuneError as error:
        return [{"partition": "", "reason": str(error), "command": ""}]


def _days(settings: Settings, folder: str) -> list[str]:
    return [str(partition) for partition in list_partitions(settings.home / folder)]
