"""The process that writes spans: its pid, its host and its role."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.forking import ForkGuard

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "NOTEBOOK",
    "SCRIPT",
    "Process",
    "process_line",
    "read_process",
    "set_role",
    "this_owner",
    "this_process",
]

NOTEBOOK, SCRIPT = "notebook", "script"
_FIELDS = 4  # of an identity, without its nonce


class Process(NamedTuple):
    """The process that a span ran in."""

    pid: int
    host: str
    role: str
    """``"notebook"``, ``"worker mail"``, ``"agents"``, ``"executor"`` or ``"script"``."""


class _Roles:
    """The role of this process, and its identity, which a forked child has to make anew."""

    def __init__(self) -> None:
        self.role = SCRIPT
        self._fork = ForkGuard()
        self._owner = ""

    def owner(self) -> str:
        if not self._owner or self._fork.forked:
            from agentnb.core.work.identity import new_owner

            self._fork.reset()
            self._owner = new_owner()
        return self._owner


_roles = _Roles()


def set_role(role: str) -> None:
    """Name the part that this process plays: ``"notebook"``, ``"worker mail"``."""
    _roles.role = role


def this_process() -> Process:
    """Return the running process.

    >>> this_process().pid == os.getpid()
    True
    """
    import socket

    return Process(os.getpid(), socket.gethostname(), _roles.role)


def this_owner() -> str:
    """Return the identity of the running process: host, pid namespace, pid and start."""
    return _roles.owner().rpartition("|")[0]


def process_line(encode: Callable[[dict[str, object]], bytes]) -> bytes:
    """Return the line with which a file of spans begins."""
    pid, host, role = this_process()
    return encode({"process": {"pid": pid, "host": host, "role": role, "owner": this_owner()}})


def read_process(record: object) -> tuple[Process, str] | None:
    """Return the process and the identity that a file's first line tells; None for another line.

    >>> read_process({"process": {"pid": 7, "host": "a", "role": "script", "owner": "x|y|7|9"}})
    (Process(pid=7, host='a', role='script'), 'x|y|7|9')
    >>> read_process({"name": "query"}) is None
    True
    """
    found = record.get("process") if isinstance(record, dict) else None
    if not isinstance(found, dict):
        return None
    pid, host, role, owner = (found.get(key) for key in ("pid", "host", "role", "owner"))
    if not isinstance(pid, int) or not isinstance(owner, str):
        return None
    fields = owner.split("|")
    if len(fields) != _FIELDS or not (fields[2].isascii() and fields[2].isdigit()):
        return None
    return Process(pid, str(host), str(role)), owner
