"""Say how the stream's workers are, from what they keep: who asks needs no worker to answer."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from serving_export.stream.state import State, state_path, state_paths
from training.contracts.errors import TransientFailure
from training.settings import Settings

MAX_SILENCE_S = 120.0
"""A worker leaves a sign of life each second."""
MAX_LAG = 100_000


def health(settings: Settings) -> dict[str, Any]:
    """Return, by part, silence, lag, dead letters, users in the overlay and parity; `well`, or why not.

    Without a stream there is nothing that could be unwell.
    """
    paths = {path.name: path for path in state_paths(settings)}
    expected = (
        [state_path(settings, part).name for part in range(settings.stream_partitions)] if settings.stream else []
    )
    lags = _lags(settings) if settings.stream else {}
    parts = {name: _part(paths[name], lags.get(name)) for name in sorted(paths)}
    wrong = [f"no worker has ever followed {name}" for name in expected if name not in parts]
    for name, one in parts.items():
        if settings.stream and one["silent_s"] > MAX_SILENCE_S:
            wrong.append(f"no worker has followed {name} for {one['silent_s']:.0f} s")
        if (one["lag"] or 0) > MAX_LAG:
            wrong.append(f"{one['lag']} entries wait for {name}")
    reason = "" if settings.stream else "no stream is set (ATTUNE_STREAM)"
    return {"stream": bool(settings.stream), "well": not wrong, "wrong": wrong, "parts": parts, "reason": reason}


def require_health(settings: Settings) -> dict[str, Any]:
    """Return how the workers are.

    Raises:
        TransientFailure: They are not well; users are read as of their daily vectors, or as of their last events.
    """
    found = health(settings)
    if found["wrong"]:
        raise TransientFailure(
            f"expected workers that follow the stream, found {'; '.join(found['wrong'])}; start `python -m "
            "serving_export stream` (make up, or the service stream of compose); lookups go on meanwhile"
        )
    return found


def _lags(settings: Settings) -> dict[str, int]:
    from serving_export.stream.redis_streams import RedisSource, connect

    parts = range(settings.stream_partitions)
    source = RedisSource(connect(settings), list(parts))
    return {state_path(settings, part).name: source.lag(part) for part in parts}


def _part(path: Path, lag: int | None) -> dict[str, Any]:
    with closing(State(path)) as state:
        views = state.views()
        return {
            "silent_s": round(max(time.time() - float(state.fact("seen_at") or 0.0), 0.0), 3),
            "lag": lag,
            "position": state.position,
            "users": {f"{key.space_id} {key.partition}": state.count_rows(view) for key, view in views.items()},
            "dead_letters": state.count_dead(),
            "newest_dead": [asdict(letter) for letter in state.dead_letters(5)],
            "parity": [found for key in views if (found := state.fact(f"parity {key.space_id}"))],
        }
