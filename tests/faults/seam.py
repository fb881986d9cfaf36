"""Run a piece of work in a child and let one of its calls fail, hang, or be its last."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.places import Places
from tests.faults.syscalls import Call, answer, break_off, receive, watch_me

KINDS = ("kill", "full", "EIO", "EPIPE", "hang")
_FILLS = ("write", "create", "mkdir", "link")
_HANDED_OVER_AT = 900
"""The number of the socket over which the child hands its descriptor: high, so that nothing later has it by chance."""


@dataclass(frozen=True)
class Fault:
    """What happens at the n-th call (from 0) at a place.

    `kill`: signal 9 before the call. `full`: no space left, for this call and every later one that would take space.
    `EIO`, `EPIPE`: this call fails so; a connection that is sent over is broken off, as where its server is gone.
    `hang`: the call does not return until the work is killed; what is sent to a server is swallowed instead, so that
    the caller waits for an answer that never comes.
    """

    kind: str
    place: str
    nth: int = 0

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}" + (f" ({self.nth + 1})" if self.nth else "")


@dataclass
class Outcome:
    """How the work ended: its exit status (negative: the signal), what it said on stderr, and its places in order."""

    status: int = 0
    said: str = ""
    places: list[str] = field(default_factory=list)
    struck: bool = False
    hung: bool = False


def run(
    work: Callable[[], int],
    home: Path,
    fault: Fault | None = None,
    *,
    servers: Mapping[str, str] | None = None,
    limit_s: float = 300.0,
    hang_s: float = 1.0,
    while_hanging: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run `work` in a child whose every call below `home` or to `servers` is seen, and let `fault` happen.

    Args:
        work: Returns the exit status.
        home: Whose files count.
        fault: None only counts.
        servers: Names of servers by port or socket path.
        limit_s: After this long the work is killed, and an error raised: nothing may hang by itself.
        hang_s: How long a call at a file hangs before the work is killed.
        while_hanging: Called once while it hangs.
    """
    ours, theirs = socket.socketpair()
    said = os.memfd_create("said")
    child = os.fork()
    if child == 0:
        _be_watched(work, theirs, said)
    theirs.close()
    _, handed, _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    watch = _Watch(child, handed[0], Places(home, dict(servers or {})), fault, hang_s, while_hanging)
    try:
        watch.follow(time.monotonic() + limit_s)
    finally:
        os.close(handed[0])
    watch.outcome.said = os.pread(said, 1 << 20, 0).decode(errors="replace")
    os.close(said)
    return watch.outcome


def _be_watched(work: Callable[[], int], handing: socket.socket, said: int) -> None:
    status = 70
    try:
        os.setsid()
        os.dup2(handing.fileno(), _HANDED_OVER_AT)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        over = socket.socket(fileno=_HANDED_OVER_AT)
        listener = watch_me(_HANDED_OVER_AT)
        socket.send_fds(over, [b"."], [listener])
        os.close(listener)
        over.close()
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


@dataclass
class _Watch:
    child: int
    listener: int
    places: Places
    fault: Fault | None
    hang_s: float
    while_hanging: Callable[[], None]
    outcome: Outcome = field(default_factory=Outcome)
    met: Counter[str] = field(default_factory=Counter)
    is_full: bool = False

    def follow(self, until: float) -> None:
        """Answer every call until the child has ended."""
        ended = os.pidfd_open(self.child)
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        poll.register(ended, select.POLLIN)
        try:
            ready: dict[int, int] = {}
            while ended not in ready:
                ready = dict(poll.poll(1000))
                if time.monotonic() > until:
                    raise AssertionError(f"expected the work to end by itself, found it going on; {self.fault}")
                if ready.get(self.listener, 0) & select.POLLIN:
                    self._meet(receive(self.listener))
                elif self.listener in ready:
                    poll.unregister(self.listener)  # nobody is left who could ask
        finally:
            self._kill()
            _, status = os.waitpid(self.child, 0)
            os.close(ended)
        self.outcome.status = os.waitstatus_to_exitcode(status)

    def _meet(self, call: Call | None) -> None:
        place = self.places.of(call) if call is not None else None
        if call is None:
            return
        if place is None:
            answer(self.listener, call)
            return
        self.outcome.places.append(place)
        nth = self.met[place]
        self.met[place] += 1
        if self.fault is not None and not self.outcome.struck and (place, nth) == (self.fault.place, self.fault.nth):
            self.outcome.struck = True
            self._strike(self.fault.kind, call)
        elif self.is_full and call.does in _FILLS:
            answer(self.listener, call, errno.ENOSPC)
        else:
            answer(self.listener, call)

    def _strike(self, kind: str, call: Call) -> None:
        if kind == "kill":
            self._kill()
        elif kind == "EPIPE" and call.does == "send":
            break_off(self.child, call.arguments[0])
            answer(self.listener, call)
        elif kind == "hang" and call.does == "send":
            answer(self.listener, call, value=call.arguments[2])
        elif kind == "hang":
            self.outcome.hung = True
            started = time.monotonic()
            self.while_hanging()
            time.sleep(max(0.0, self.hang_s - (time.monotonic() - started)))
            self._kill()
        else:
            self.is_full = kind == "full"
            answer(self.listener, call, errno.ENOSPC if kind == "full" else getattr(errno, kind))

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.child, signal.SIGKILL)
