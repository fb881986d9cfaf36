"""Answer each command of `python -m serving_export`; imports are local, so that a lookup starts fast."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving_export.lookup import EmbeddingStore, Ranking
from training.contracts.errors import AttuneError
from training.settings import Settings

SHUTDOWN_S = 5
"""How long requests under way may take once the server is told to stop."""
KEEP_ALIVE_S = 30


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command prints: `values` with --json, else `text`; an `error` makes the exit status 1."""

    values: dict[str, Any]
    text: str
    error: str = ""


def to_json(values: dict[str, Any]) -> str:
    """Return values as one line of JSON, keys sorted."""
    return json.dumps(values, sort_keys=True)


def lookup(options: argparse.Namespace) -> Answer:
    """Return users' vectors; unknown users are listed and make the command fail."""
    from serving_export.answers import embeddings_json

    settings = Settings.from_env()
    found = _store(options, settings).lookup(options.user, on_unknown="ignore")
    values = embeddings_json(found)
    about = f"space {found.space_id}, as of {found.as_of:%Y-%m-%d}, age {found.age.total_seconds() / 86400:.1f} days"
    lines = [about + (f" (stale: over {settings.stale_after_days:g} days)" if found.stale else "")]
    lines += [f"{u['user_id']}\t{' '.join(f'{x:.5f}' for x in u['vector'])}" for u in values["users"]]
    return Answer(values=values, text="\n".join(lines), error=_unknown(found.unknown, found.space_id, found.partition))


def recommend(options: argparse.Namespace) -> Answer:
    """Return a user's best items."""
    store = _store(options, Settings.from_env())
    ranking = store.recommend(options.query, options.k, on_unknown=options.unknown, **_how(options))
    return _ranking(ranking, store.snapshot_of(options.consumer).model(ranking.consumer))


def target(options: argparse.Namespace) -> Answer:
    """Return an item's best users."""
    store = _store(options, Settings.from_env())
    return _ranking(store.target(options.query, options.k, **_how(options)), store.model(options.consumer))


def rank(options: argparse.Namespace) -> Answer:
    """Write rankings to a file."""
    from serving_export.rank import write_rankings

    snapshot = _store(options, Settings.from_env()).snapshot_of(options.consumer)
    ids = _read_ids(Path(options.ids)) if options.ids else None
    how: dict[str, Any] = {"k": options.k, "drop_seen": options.drop_seen, "on_unknown": options.unknown}
    how["form"] = options.format
    answered = write_rankings(snapshot, options.consumer, options.task, Path(options.out), ids=ids, **how)
    count, by = sum(answered.values()), ", ".join(f"{lines} by {name}" for name, lines in answered.items())
    values = {"lines": count, "out": options.out, "consumers": answered}
    return Answer(values=values, text=f"{count} lines in {options.out} ({by})")


def status(options: argparse.Namespace) -> Answer:
    """Return the state of the home."""
    from serving_export.status import status, summarise

    values = status(Settings.from_env())
    return Answer(values=values, text=summarise(values))


def lineage(options: argparse.Namespace) -> Answer:
    """Return where a served vector comes from."""
    from serving_export.lineage import trace

    values = trace(Settings.from_env(), options.user, options.space)
    return Answer(values=values, text=json.dumps(values, indent=1))


def rollback(options: argparse.Namespace) -> Answer:
    """Move the pointer back; what could not be brought in line with it yet is named, and is no failure."""
    from serving_export.flip import rollback
    from training.registry.pointer import read_pointer

    settings = Settings.from_env()
    before = read_pointer(settings.published_dir)
    _intend_rollback(settings, before.sequence, options.to)
    pointer = rollback(settings, options.to, further=options.further)
    moved = pointer.sequence != before.sequence
    text = f"live is now space {pointer.live.space_id} of {pointer.live.partition} (pointer {pointer.sequence})"
    if not moved:
        text = (
            f"nothing moved: space {pointer.live.space_id} of {pointer.live.partition} is live since the rollback from "
            f"pointer {pointer.returned}; --further goes back once more"
        )
    values = {**pointer.to_dict(), "moved": moved}
    return _in_line(settings, values, text)


def _intend_rollback(settings: Settings, sequence: int, to: int | None) -> None:
    """Record the intent where the ledger answers at once; a rollback does not wait for it."""
    from training.registry.ledger import Ledger

    with suppress(AttuneError, OSError):
        ledger = Ledger(settings, patience_s=1.0)
        ledger.record_intent("rollback", f"pointer {to}" if to else "the promotion before", sequence)


def reconcile(options: argparse.Namespace) -> Answer:
    """Bring every store in line with the pointer; a store that is down makes the command fail."""
    from serving_export.reconcile import reconcile

    done = reconcile(Settings.from_env())
    pending = "; ".join(f"{name}: {why}" for name, why in done.pending.items())
    live = done.pointer.live if done.pointer else None
    text = f"in line with space {live.space_id} of {live.partition}" if live else "nothing was promoted yet"
    return Answer(values=done.to_dict(), text="" if pending else text, error=pending)


def pin(options: argparse.Namespace) -> Answer:
    """Pin a consumer to a space."""
    from serving_export.pin import pin

    done = pin(Settings.from_env(), options.consumer, options.space_id)
    text = f"{options.consumer} stays on space {options.space_id}, which each refresh now keeps fresh"
    values = {"consumer": options.consumer, "space_id": options.space_id, "pending": done.pending}
    return Answer(values=values, text=_with_pending(text, done.pending))


def unpin(options: argparse.Namespace) -> Answer:
    """Remove a consumer's pin."""
    from serving_export.pin import unpin

    done = unpin(Settings.from_env(), options.consumer)
    text = _with_pending(f"{options.consumer} follows the live space again", done.pending)
    return Answer(values={"consumer": options.consumer, "pending": done.pending}, text=text)


def erase(options: argparse.Namespace) -> Answer:
    """Erase users, carry out what was asked for, or look for what names them; output names nobody."""
    from serving_export.erasure.erase import carry_out, request_erasure, told, verify
    from serving_export.erasure.requests import read_ids

    settings = Settings.from_env()
    users = [*options.user, *(read_ids(Path(options.users)) if options.users else [])]
    if options.verify:
        places = verify(settings, users)
        found = f"expected nothing to name them, found {told(places)}; run `erase --now`" if places else ""
        return Answer(values={"places": places}, text="" if places else "nothing names them", error=found)
    values: dict[str, Any] = {}
    lines: list[str] = []
    if users or not options.now:
        values["requested"] = request_erasure(settings, users, options.reason)
        lines.append(f"{values['requested']['num_users']} users are unknown to every lookup from now on")
    if options.now:
        values["done"] = carry_out(settings)
        lines.append(f"{values['done']['users']} users are gone: {_removed(values['done'])}")
    else:
        lines.append("they are gone from everything by the end of the next daily run, or now: `erase --now`")
    note = values.get("done", values.get("requested", {})).get("note")
    return Answer(values=values, text="\n".join([*lines, *filter(None, [note])]))


def retention(options: argparse.Namespace) -> Answer:
    """Remove what the policy lets go, or say what it would."""
    from serving_export.retention_plan import plan
    from serving_export.retention_run import apply_retention

    settings = Settings.from_env()
    chosen = plan(settings) if options.dry_run else apply_retention(settings)
    lines = [f"{kind}: {name}" for kind, found in chosen.paths.items() for name in found]
    lines += [f"MLflow run: {model} {name}" for model, name in chosen.runs]
    lines += [f"online space: {view} {space}" for view, spaces in chosen.online.items() for space in spaces]
    counts = ", ".join(f"{count} {kind}" for kind, count in chosen.counts.items()) or "nothing"
    summary = f"would remove {counts}" if options.dry_run else f"removed {counts}"
    return Answer(values={"removed": not options.dry_run, **asdict(chosen)}, text="\n".join([*lines, summary]))


def _removed(done: dict[str, Any]) -> str:
    counts = {**done["removed"], **({"late rows": done["late"]} if done["late"] else {})}
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nothing named them"


def refresh(options: argparse.Namespace) -> Answer:
    """Publish a partition."""
    from serving_export.refresh import refresh_embeddings

    values = refresh_embeddings(Settings.from_env(), options.partition, accept_loss=options.accept_loss)
    served = {**values["refreshed"], **values["kept"]}
    lines = [f"space {space_id} serves {partition}" for space_id, partition in sorted(served.items())]
    return Answer(values=values, text=_with_pending("\n".join(lines) or values["reason"], values.get("pending", {})))


def promote(options: argparse.Namespace) -> Answer:
    """Promote a partition's candidate; a refusal is an answer, not a failure."""
    from serving_export.promote import promote_space

    values = promote_space(Settings.from_env(), options.partition, force=options.force)
    if not values["promoted"]:
        return Answer(values=values, text=f"not promoted: {values['reason']}")
    text = f"live is now space {values['space_id']} of {values['partition']}"
    return Answer(values=values, text=_with_pending(text, values["pending"]))


def serve(options: argparse.Namespace) -> Answer:
    """Run the lookup server until it is stopped."""
    import uvicorn

    from serving_export.http.app import build_app

    settings = Settings.from_env()
    limits: dict[str, Any] = {"timeout_graceful_shutdown": SHUTDOWN_S, "timeout_keep_alive": KEEP_ALIVE_S}
    with _reconciling():
        uvicorn.run(build_app(settings), host=options.host, port=options.port, log_level="info", **limits)
    return Answer(values={}, text="stopped")


@contextmanager
def _reconciling() -> Iterator[None]:
    """Bring the stores in line in a process beside the lookups, which need the pointer alone; end it with them."""
    process = subprocess.Popen([sys.executable, "-m", "serving_export", "reconcile"], stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn sends itself the signal again once it has ended
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _in_line(settings: Settings, values: dict[str, Any], text: str) -> Answer:
    from serving_export.reconcile import reconcile

    pending = reconcile(settings, clear=False).pending
    return Answer(values={**values, "pending": pending}, text=_with_pending(text, pending))


def _with_pending(text: str, pending: dict[str, str]) -> str:
    lines = [
        f"{name} is not in line yet ({why}); the next job or `reconcile` sees to it" for name, why in pending.items()
    ]
    return "\n".join([text, *lines])


def _store(options: argparse.Namespace, settings: Settings) -> EmbeddingStore:
    days = settings.stale_after_days
    return EmbeddingStore(settings.published_dir, space_id=options.space, stale_after_days=days)


def _how(options: argparse.Namespace) -> dict[str, Any]:
    return {"consumer": options.consumer, "drop_seen": options.drop_seen}


def _ranking(ranking: Ranking, model: dict[str, str]) -> Answer:
    from serving_export.answers import ranking_json

    values = ranking_json(ranking, model)
    lines = [f"{name}\t{score:.5f}" for name, score in zip(ranking.ids, values["scores"], strict=True)]
    if ranking.fallback:
        lines.insert(0, f"by popularity: nothing is known of {ranking.query} that would tell its own items")
    return Answer(values=values, text="\n".join(lines))


def _unknown(unknown: tuple[str, ...], space_id: str, partition: str) -> str:
    if not unknown:
        return ""
    names = ", ".join(repr(name) for name in unknown)
    return (
        f"expected users known as of {partition}, found unknown {names} in space {space_id}; "
        "a user is known from the day on which the first log row arrived"
    )


def _read_ids(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise AttuneError(
            f"expected a file of ids, one a line, found {error.strerror} at {path}; check --ids"
        ) from error
    return [line.strip() for line in lines if line.strip()]
