"""File requests to erase users, and keep the record of what became of them, which names nobody.

A request names its users until it is done: without their ids nobody could look for them. It lies in a folder of its
own, readable by its owner alone, and is removed with the last of them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving_export.erasure.files import ERASURE
from serving_export.erasure.people import People
from training.contracts.artefacts import Artefact
from training.contracts.errors import AttuneError
from training.contracts.tombstones import TOMBSTONES, TombstoneFile, Tombstones
from training.locks import lease
from training.settings import Settings
from training.storage import write_json

_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Request(Artefact):
    """A request that is not done yet.

    Attributes:
        request_id: Names it in the record; drawn, not derived from the users.
        user_ids: Whom to erase.
        reason: Why.
        requested_at: When, UTC.
    """

    request_id: str
    user_ids: tuple[str, ...]
    reason: str
    requested_at: str


def file_request(settings: Settings, user_ids: Iterable[str], reason: str) -> Request:
    """Keep a request and put the tombstones of its users in force: from now on every lookup takes them for unknown.

    The request first: a kill between the two leaves one that the next run carries out all the same.

    Raises:
        AttuneError: Nobody or no reason is named.
    """
    users = tuple(sorted(set(user_ids)))
    if not users or not all(users) or not reason.strip():
        raise AttuneError(
            f"expected users to erase and a reason, found {len(users)} users and {reason!r}; name them with --user ID "
            "or --users FILE, and the reason with --reason"
        )
    now = datetime.now(UTC)
    request = Request(
        request_id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        user_ids=users,
        reason=People(users).masked_words(reason),
        requested_at=now.isoformat(timespec="seconds"),
    )
    folder = _folder(settings, "pending")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    write_json(request.to_dict(), folder / f"{request.request_id}.json")
    bury(settings, users)
    return request


def bury(settings: Settings, user_ids: Iterable[str]) -> Tombstones:
    """Put users' tombstones in force beside those that are, and return all."""
    with lease(settings, settings.published_dir / ".erased.lock"):
        found = TombstoneFile(settings.published_dir).read()
        found = found if found.key else Tombstones(key=secrets.token_hex(_KEY_BYTES))
        marks = found.marks | {found.mark(user_id) for user_id in user_ids}
        if marks != found.marks:
            write_json(replace(found, marks=marks).to_json(), settings.published_dir / TOMBSTONES)
    return replace(found, marks=marks)


def pending(settings: Settings) -> list[Request]:
    """Return the requests that are not done yet, oldest first."""
    paths = sorted(_folder(settings, "pending").glob("[!.]*.json"))
    found = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    return [Request.from_dict({**values, "user_ids": tuple(values["user_ids"])}) for values in found]


def close(settings: Settings, request: Request, removed: Mapping[str, int]) -> None:
    """Record that a request was done, without saying of whom, and remove it.

    Args:
        settings: Names the home.
        request: The request.
        removed: How many rows or mentions went, by store, in the run that ended it.
    """
    record: dict[str, Any] = {
        "request_id": request.request_id,
        "num_users": len(request.user_ids),
        "reason": request.reason,
        "requested_at": request.requested_at,
        "done_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "removed": dict(sorted(removed.items())),
        "proof": "no file of the home and no online view names them",
    }
    write_json(record, _folder(settings, "done") / f"{request.request_id}.json")
    (_folder(settings, "pending") / f"{request.request_id}.json").unlink(missing_ok=True)


def read_ids(path: Path) -> list[str]:
    """Return the ids of a file, one a line.

    Raises:
        AttuneError: It cannot be read as text in UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AttuneError(f"expected a file of user ids, one a line, found {error} at {path}; check --users") from error
    return [line.strip() for line in lines if line.strip()]


def _folder(settings: Settings, name: str) -> Path:
    return settings.home / ERASURE / name
