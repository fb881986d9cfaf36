"""Let one process see, answer or refuse every write, rename, sync and send of its children: seccomp's notification.

The kernel asks before each call, whichever library makes it (Python, Arrow, DuckDB, SQLite, a client of a server), so
the product needs no hook and no library a patch. Linux 5.5 on x86-64 or arm64, no right beyond an ordinary user's.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

CALLS = {
    "write": ("write", 1, 64),
    "pwrite64": ("write", 18, 68),
    "writev": ("write", 20, 66),
    "pwritev": ("write", 296, 70),
    "sendfile": ("write", 40, 71),
    "copy_file_range": ("write", 326, 285),
    "fallocate": ("write", 285, 47),
    "ftruncate": ("truncate", 77, 46),
    "truncate": ("truncate", 76, 45),
    "fsync": ("sync", 74, 82),
    "fdatasync": ("sync", 75, 83),
    "open": ("create", 2, None),
    "creat": ("create", 85, None),
    "openat": ("create", 257, 56),
    "mkdir": ("mkdir", 83, None),
    "mkdirat": ("mkdir", 258, 34),
    "rmdir": ("remove", 84, None),
    "unlink": ("remove", 87, None),
    "unlinkat": ("remove", 263, 35),
    "rename": ("rename", 82, None),
    "renameat": ("rename", 264, 38),
    "renameat2": ("rename", 316, 276),
    "link": ("link", 86, None),
    "linkat": ("link", 265, 37),
    "symlink": ("link", 88, None),
    "symlinkat": ("link", 266, 36),
    "connect": ("connect", 42, 203),
    "sendto": ("send", 44, 206),
    "sendmsg": ("send", 46, 211),
}
"""What each call does, and its number on x86-64 and on arm64 (None where there is none)."""

_MACHINE = {"x86_64": (0xC000003E, 1, 317), "aarch64": (0xC00000B7, 2, 277)}
"""By machine: what the kernel calls it, its column of numbers, and the number of seccomp itself."""
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_NO_NEW_PRIVS, _SET_FILTER, _NEW_LISTENER = 38, 1, 8
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_GO_ON = 1
_TAKE_DESCRIPTOR = 438
_CREATES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
FLAGS_AT = {"open": 1, "openat": 2}
"""Which argument of a call says whether it opens for writing; other opens are none of ours."""


@dataclass(frozen=True)
class Call:
    """One call that waits for an answer: who makes it, which it is, and its arguments as numbers."""

    ticket: int
    thread: int
    name: str
    arguments: tuple[int, ...]

    @property
    def does(self) -> str:
        return CALLS[self.name][0]


def _machine() -> tuple[int, int, int]:
    found = _MACHINE.get(platform.machine())
    if found is None:
        raise RuntimeError(f"expected one of {', '.join(_MACHINE)}, found {platform.machine()}; run the faults there")
    return found


def numbers() -> dict[int, str]:
    """Return the name of each call that is watched, by its number on this machine."""
    column = _machine()[1]
    return {entry[column]: name for name, entry in CALLS.items() if entry[column] is not None}  # type: ignore[misc]


def _filter(exempt: int) -> bytes:
    """Return the program that the kernel runs on each call: let it pass, or ask.

    It reads the machine (at 4) and the number (at 0) of the call, and of some calls one argument (from 16 on): of opens
    the flags, of messages the descriptor, of which one is never asked about.
    """

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("HBBI", code, then, otherwise, value)

    allow, ask = step(_RETURN, _ALLOW), step(_RETURN, _NOTIFY)
    program = step(_LOAD, 4) + step(_EQUAL, _machine()[0], 1, 0) + allow + step(_LOAD, 0)
    for number, name in numbers().items():
        if name in FLAGS_AT:
            flags = step(_LOAD, 16 + 8 * FLAGS_AT[name]) + step(_ANY_BIT, _CREATES, 0, 1)
            program += step(_EQUAL, number, 0, 4) + flags + ask + allow
        elif name == "sendmsg":
            program += step(_EQUAL, number, 0, 4) + step(_LOAD, 16) + step(_EQUAL, exempt, 1, 0) + ask + allow
        else:
            program += step(_EQUAL, number, 0, 1) + ask
    return program + allow


def watch_me(exempt: int) -> int:
    """Have every later call of this process and its children asked about; return the descriptor to answer at.

    It cannot be undone: call it in a child made for it. Messages over the socket `exempt` alone pass, to hand the
    descriptor over.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    program = _filter(exempt)
    kept = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept))
    told = ctypes.create_string_buffer(header, len(header))
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener: int = libc.syscall(_machine()[2], _SET_FILTER, _NEW_LISTENER, told)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "expected seccomp's user notification (Linux 5.5), found it refused")
    return listener


def receive(listener: int) -> Call | None:
    """Return the next call that waits, None if whoever made it is gone."""
    asked = bytearray(80)
    try:
        fcntl.ioctl(listener, _RECEIVE, asked)
    except FileNotFoundError:
        return None
    ticket, thread, _, number = struct.unpack_from("QIIi", asked)
    return Call(ticket, thread, numbers()[number], struct.unpack_from("6Q", asked, 32))


def answer(listener: int, call: Call, errno: int = 0, value: int | None = None) -> None:
    """Let a call go on (the default), fail with `errno`, or return `value` without being made."""
    flags = _GO_ON if not errno and value is None else 0
    reply = bytearray(struct.pack("QqiI", call.ticket, value or 0, -errno, flags))
    with suppress(FileNotFoundError):  # the caller was killed meanwhile
        fcntl.ioctl(listener, _SEND, reply)


def break_off(process: int, descriptor: int) -> None:
    """End the connection behind a descriptor of another process, as its peer would by going away."""
    libc = ctypes.CDLL(None, use_errno=True)
    holder = os.pidfd_open(process)
    try:
        ours = libc.syscall(_TAKE_DESCRIPTOR, holder, descriptor, 0)
    finally:
        os.close(holder)
    if ours < 0:
        raise OSError(ctypes.get_errno(), "expected to share a connection of a child, found it refused")
    with socket.socket(fileno=ours) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def text_at(process: int, address: int, limit: int = 4096) -> str:
    """Return the text that begins at an address of a process, read up to its end."""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        try:
            found = memory.read(limit)
        except OSError:  # the page after it is not mapped
            memory.seek(address)
            found = memory.read(-address % 4096 or 4096)
    return os.fsdecode(found.split(b"\0")[0])
