"""Name the place of a call: what it does, and to which file below the home or which server, the same in every run."""

from __future__ import annotations

import os
import re
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.syscalls import FLAGS_AT, Call, text_at

_HERE = -100
"""The descriptor that stands for the current folder (AT_FDCWD)."""
_PATHS = {
    "open": (None, 0),
    "creat": (None, 0),
    "openat": (0, 1),
    "mkdir": (None, 0),
    "mkdirat": (0, 1),
    "rmdir": (None, 0),
    "unlink": (None, 0),
    "unlinkat": (0, 1),
    "rename": (None, 1),
    "renameat": (2, 3),
    "renameat2": (2, 3),
    "link": (None, 1),
    "linkat": (2, 3),
    "symlink": (None, 1),
    "symlinkat": (1, 2),
    "truncate": (None, 0),
}
"""Of calls that name a path: which argument is the folder's descriptor (None: the current folder), which the path.

Calls that name two are known by the one that comes into being.
"""
_DESCRIPTOR = {"copy_file_range": 2}
"""Which argument is the descriptor that is written to, where it is not the first one."""
_NAMES = (
    (re.compile(r"\bdt=\d{4}-\d\d-\d\d(\.[0-9a-f]{8})?"), "dt=D"),
    (re.compile(r"\b\d{8}-[0-9a-f]{8}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{32}\b|\bm-[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\.[0-9a-f]{8}(?=/|$)"), ".TMP"),
    (re.compile(r"\d{4}-\d\d-\d\d|\b\d{8}(?=\.json)"), "D"),
    (re.compile(r"^(warehouse/dbt|mlflow/artifacts)/.*"), r"\1/*"),
    (re.compile(r"^(reports/data_docs/dt=D)/\.\w+\.TMP(?:/.*)?"), r"\1/.SUITE.TMP/*"),
    (re.compile(r"^(reports/data_docs/dt=D)/\w+$"), r"\1/SUITE"),
    (re.compile(r"^(landed|features)/\w+/"), r"\1/TABLE/"),
    (re.compile(r"[^/]+\.npy$"), "*.npy"),
)


@dataclass
class Places:
    """Names places of one run.

    Attributes:
        home: Whose files count; others are no places.
        servers: Names of servers that count, by their port, or by the path of their socket.
        sockets: What each descriptor was connected to, by thread group and number.
    """

    home: Path
    servers: dict[str, str] = field(default_factory=dict)
    sockets: dict[int, str] = field(default_factory=dict)

    def of(self, call: Call) -> str | None:
        """Return the place, None for a call that is none of ours."""
        if call.does == "connect":
            return self._connected(call)
        try:
            path = _path(call).removesuffix(" (deleted)")
        except OSError:  # the thread is gone, or the descriptor is
            return None
        if path.startswith("socket:"):
            server = self.sockets.get(call.arguments[0])
            return f"send {server}" if server else None
        inside = path.removeprefix(f"{self.home}/")
        return f"{call.does} {_stable(inside)}" if inside != path and _changes(call, path) else None

    def _connected(self, call: Call) -> str | None:
        self.sockets.pop(call.arguments[0], None)
        server = self.servers.get(_address(call))
        if server is None:
            return None
        self.sockets[call.arguments[0]] = server
        return f"connect {server}"


def _path(call: Call) -> str:
    where = _PATHS.get(call.name)
    if where is None:
        return os.readlink(f"/proc/{call.thread}/fd/{call.arguments[_DESCRIPTOR.get(call.name, 0)]}")
    folder_at, path_at = where
    path = text_at(call.thread, call.arguments[path_at])
    if path.startswith("/"):
        return os.path.normpath(path)
    folder = _signed(call.arguments[folder_at]) if folder_at is not None else _HERE
    link = "cwd" if folder == _HERE else f"fd/{folder}"
    return os.path.normpath(os.path.join(os.readlink(f"/proc/{call.thread}/{link}"), path))


def _changes(call: Call, path: str) -> bool:
    """Return whether a call changes anything: to open what is there, to make it again or to remove nothing does not."""
    if call.does == "create" and os.path.lexists(path):
        flags_at = FLAGS_AT.get(call.name)
        return flags_at is None or bool(call.arguments[flags_at] & os.O_TRUNC)
    if call.does == "mkdir":
        return not os.path.lexists(path)
    return call.does != "remove" or os.path.lexists(path)


def _address(call: Call) -> str:
    """Return the port, or the path of the socket, that a connection goes to."""
    with open(f"/proc/{call.thread}/mem", "rb", buffering=0) as memory:
        memory.seek(call.arguments[1])
        raw = memory.read(min(call.arguments[2], 128))
    family = struct.unpack_from("H", raw)[0]
    if family == socket.AF_UNIX:
        return os.fsdecode(raw[2:].split(b"\0")[0])
    return str(struct.unpack_from("!H", raw, 2)[0]) if family in (socket.AF_INET, socket.AF_INET6) else ""


def _stable(path: str) -> str:
    for pattern, name in _NAMES:
        path = pattern.sub(name, path)
    return path


def _signed(value: int) -> int:
    found: int = struct.unpack("i", struct.pack("I", value & 0xFFFFFFFF))[0]
    return found


def postgres_socket(url: str) -> str:
    """Return the path of the socket, or the port, at which a URL's PostgreSQL server is met."""
    from sqlalchemy.engine import make_url

    found = make_url(url)
    folder = str(found.query.get("host", ""))
    return f"{folder}/.s.PGSQL.{found.port or 5432}" if folder.startswith("/") else str(found.port or 5432)
