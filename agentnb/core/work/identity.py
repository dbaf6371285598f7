"""The identity of a worker: names its process so that others can check whether it lives."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

__all__ = [
    "describe",
    "host_name",
    "host_of_owners",
    "is_alive",
    "is_dead",
    "new_owner",
    "shared_place",
]

_STARTED = 19  # of the fields behind the name in /proc/<pid>/stat; the state is the first
_FIELDS = 5
_HIDDEN = "hidden"
_DEFAULT_PREFIX = "agentnb"


def new_owner(pid: int | None = None) -> str:
    """Return a new owner id for a process: host, pid namespace, pid, start, and a nonce.

    A pid alone says little: it is used again, and means another process in a container. Where
    there is no ``/proc`` the start is empty, and nobody takes the process for dead.

    Parameters
    ----------
    pid
        A process of this host and pid namespace; None for this one.

    Source: proc(5), random(4).
    """
    pid = os.getpid() if pid is None else pid
    return "|".join([*_this_host(), str(pid), _started(pid) or "", secrets.token_hex(4)])


def host_of_owners() -> str:
    """Return the text with which the ids of all owners of this host and pid namespace begin.

    >>> new_owner().startswith(host_of_owners())
    True
    """
    return "|".join([*_this_host(), ""])


def host_name() -> str:
    """Return the id of this host's boot, or its name where it has none."""
    return _host()


def is_dead(owner: str) -> bool:
    """Return whether an owner's process is known to be dead; False if that cannot be told.

    >>> is_dead(new_owner())
    False
    >>> host, space, pid, started, nonce = new_owner().split("|")
    >>> is_dead("|".join([host, space, pid, "1", nonce])) if started else True
    True
    """
    fields = owner.split("|")
    if len(fields) != _FIELDS or not fields[3] or tuple(fields[:2]) != _this_host():
        return False
    started = _started(int(fields[2]))
    return started not in {fields[3], _HIDDEN}


def is_alive(owner: str) -> bool:
    """Return whether an owner's process is known to be alive, here; False if that cannot be told.

    >>> is_alive(new_owner()) or not _started(os.getpid())
    True
    """
    fields = owner.split("|")
    known = len(fields) == _FIELDS and bool(fields[3]) and tuple(fields[:2]) == _this_host()
    return known and not is_dead(owner)


def describe(owner: str) -> str:
    """Return an owner in short: its pid and the start of the nonce.

    >>> describe("3f2a|4026531836|1234|998877|ab12cd34")
    '1234.ab12'
    """
    fields = owner.split("|")
    return f"{fields[2]}.{fields[4][:4]}" if len(fields) == _FIELDS else owner[:12]


@lru_cache(maxsize=1)
def _host() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return socket.gethostname().replace("|", "-")


def _this_host() -> tuple[str, str]:
    space = ""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").stat().st_ino)
    return _host(), space


def _started(pid: int) -> str | None:
    """Return when a process began, in ticks since boot.

    None stands for one that is gone or a zombie, ``hidden`` for one that runs and whose start
    cannot be read: /proc may be mounted with hidepid, which hides the processes of other users.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _HIDDEN if _exists(pid) else None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[_STARTED]


def _exists(pid: int) -> bool:
    """Return whether there is a process of this number, of whichever user.

    Source: kill(2): EPERM is said of a process that exists.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def shared_place(target: object, prefix: str) -> str:
    """Return the server and the prefix that work and its workers share, as messages name them.

    >>> shared_place("redis://h:6379/0", "agentnb"), shared_place("redis://h:6379/0", "pw")
    ('redis://h:6379/0', 'redis://h:6379/0, prefix pw')
    """
    return str(target) if prefix == _DEFAULT_PREFIX else f"{target}, prefix {prefix}"
