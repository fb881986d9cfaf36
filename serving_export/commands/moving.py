"""Commands that move what is served, or keep somebody where they are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click

from serving_export.commands.options import of_partition
from training.command_line import Answer, answers
from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.settings import Settings

FORCE = "why to promote what its gate did not accept, a rollback has left, or loses users; it is recorded"
ACCEPT_LOSS = "why users that are served may be missing from now on; it is recorded"


@click.command()
@click.option("--to", type=int, metavar="SEQUENCE", help="return to this past pointer exactly")
@click.option("--further", is_flag=True, help="go back once more after a rollback")
@answers
def rollback(to: int | None, further: bool) -> Answer:
    """Serve what was served before the last promotion; nothing is retrained."""
    from serving_export.pointer_moves import rollback
    from training.registry.pointer import read_pointer

    settings = Settings.from_env()
    before = read_pointer(settings.published_dir)
    intent = _intend_rollback(settings, before.sequence, to)
    pointer = rollback(settings, to, further=further)
    moved = pointer.sequence != before.sequence
    if not moved:
        _void(settings, intent)
    text = f"live is now space {pointer.live.space_id} of {pointer.live.partition} (pointer {pointer.sequence})"
    if not moved:
        text = (
            f"nothing moved: space {pointer.live.space_id} of {pointer.live.partition} is live since the rollback from "
            f"pointer {pointer.returned}; --further goes back once more"
        )
    return _in_line(settings, {**pointer.to_dict(), "moved": moved}, text)


@click.command()
@answers
def reconcile() -> Answer:
    """Bring ledger, online store and MLflow in line with what is served; fails where one of them is down."""
    from serving_export.reconcile import reconcile

    done = reconcile(Settings.from_env())
    pending = "; ".join(f"{name}: {why}" for name, why in done.pending.items())
    live = done.pointer.live if done.pointer else None
    text = f"in line with space {live.space_id} of {live.partition}" if live else "nothing was promoted yet"
    return Answer(values=done.to_dict(), text="" if pending else text, error=pending)


@click.command()
@click.argument("consumer", metavar="CONSUMER")
@click.argument("space_id", metavar="SPACE")
@answers
def pin(consumer: str, space_id: str) -> Answer:
    """Keep a consumer or an outside team on a space, or an outside team on a frame, which is then not retired."""
    from serving_export.pin import pin

    done = pin(Settings.from_env(), consumer, space_id)
    text = f"{consumer} stays on space {space_id}, which each refresh now keeps fresh"
    values = {"consumer": consumer, "space_id": space_id, "pending": done.pending}
    return Answer(values=values, text=_with_pending(text, done.pending))


@click.command()
@click.argument("consumer", metavar="CONSUMER")
@answers
def unpin(consumer: str) -> Answer:
    """Let a consumer follow the live space again."""
    from serving_export.pin import unpin

    done = unpin(Settings.from_env(), consumer)
    text = _with_pending(f"{consumer} follows the live space again", done.pending)
    return Answer(values={"consumer": consumer, "pending": done.pending}, text=text)


@click.command("frame-start")
@click.option("--reason", required=True, metavar="REASON", help="why; it is recorded")
@answers
def frame_start(reason: str) -> Answer:
    """End the frame in force; the next promotion begins a new one."""
    from serving_export.frames import start_frame

    ended, teams = start_frame(Settings.from_env(), reason)
    text = f"{ended or 'no frame'} is in force no more; the next promotion begins a new one"
    text += f"; to retrain on it: {', '.join(teams)}" if teams else ""
    return Answer(values={"ended": ended, "must_retrain": list(teams)}, text=text)


@click.command()
@of_partition
@click.option("--accept-loss", default="", metavar="REASON", help=ACCEPT_LOSS)
@answers
def refresh(partition: Partition, accept_loss: str) -> Answer:
    """Publish a partition's vectors of every served space."""
    from serving_export.refresh import refresh_embeddings

    values = refresh_embeddings(Settings.from_env(), partition, accept_loss=accept_loss)
    served = {**values["refreshed"], **values["kept"]}
    lines = [f"space {space_id} serves {partition}" for space_id, partition in sorted(served.items())]
    return Answer(values=values, text=_with_pending("\n".join(lines) or values["reason"], values.get("pending", {})))


@click.command()
@of_partition
@click.option("--force", default="", metavar="REASON", help=FORCE)
@answers
def promote(partition: Partition, force: str) -> Answer:
    """Make a partition's candidate space live, once its consumers are ready; a refusal is an answer, not a failure."""
    from serving_export.promote import promote_space

    values = promote_space(Settings.from_env(), partition, force=force)
    if not values["promoted"]:
        return Answer(values=values, text=f"not promoted: {values['reason']}")
    text = f"live is now space {values['space_id']} of {values['partition']}"
    return Answer(values=values, text=_with_pending(text, values["pending"]))


def _intend_rollback(settings: Settings, sequence: int, to: int | None) -> int | None:
    """Record the intent where the ledger answers at once, and return its number; a rollback does not wait for it."""
    from training.registry.ledger import Ledger

    with suppress(AttuneError, OSError):
        ledger = Ledger(settings, patience_s=1.0)
        return ledger.record_intent("rollback", f"pointer {to}" if to else "the promotion before", sequence)
    return None


def _void(settings: Settings, intent: int | None) -> None:
    """Close the intent of a rollback that moved nothing; where the ledger is away, the next job that publishes does."""
    from training.registry.ledger import Ledger

    with suppress(AttuneError, OSError):
        if intent is not None:
            Ledger(settings, patience_s=1.0).close_intent(intent, "void")


def _in_line(settings: Settings, values: dict[str, Any], text: str) -> Answer:
    """Return the answer of a move with what could not be brought in line yet, which is no failure."""
    from serving_export.reconcile import reconcile

    pending = reconcile(settings, clear=False).pending
    return Answer(values={**values, "pending": pending}, text=_with_pending(text, pending))


def _with_pending(text: str, pending: dict[str, str]) -> str:
    lines = [
        f"{name} is not in line yet ({why}); the next job or `reconcile` sees to it" for name, why in pending.items()
    ]
    return "\n".join([text, *lines])
