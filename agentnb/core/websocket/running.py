"""The address and the token that a running server leaves in the home."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.flock import release
from agentnb.core.tokens import write_private
from agentnb.core.trust import Trust, private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Running", "noted", "running"]

_FOLDER, _RUNNING, _LOCK = "serve", "running.json", "lock"
_OTHER = "another server of this home runs: notebooks go to that one by themselves"
_TRIES, _PAUSE = 10, 0.02


class Running(NamedTuple):
    """A server that runs."""

    url: str
    token: str


@contextmanager
def noted(home: Path, url: str, token: str) -> Iterator[str]:
    """Leave the address of a server in the home while it runs.

    It counts as long as the lock beside it is held: a process id would say nothing, since it is
    used again, and then the token would go to another program on that port.

    Yields
    ------
    str
        Why clients do not find this server by the home; empty where they do.

    Raises
    ------
    UntrustedPath
        The folder in the home belongs to another user.
    """
    folder = home / _FOLDER
    lock, found, hidden = None, False, _OTHER
    try:
        private_folder(folder, service="websocket")
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        found = _taken(lock)
        if found:
            write_private(folder / _RUNNING, json.dumps({"url": url, "token": token}))
            hidden = ""
    except OSError as error:  # such as in a container whose root is read-only
        hidden = f"clients need the URL, since the home cannot be written to: {error}"
    try:
        yield hidden
    finally:
        if found:
            (folder / _RUNNING).unlink(missing_ok=True)
        if lock is not None:
            release(lock)


def _taken(lock: int) -> bool:
    for _ in range(_TRIES):  # one who looks holds it for a moment
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE)
    return False


def running(home: Path) -> Running | None:
    """Return the server that runs in a home, or None."""
    folder = home / _FOLDER
    try:
        lock = os.open(folder / _LOCK, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # Its URL is where messages and the token are sent.
            Trust.of().check(folder / _RUNNING, service="websocket")
            found = json.loads((folder / _RUNNING).read_text(encoding="utf-8"))
            return Running(str(found["url"]), str(found["token"]))
        finally:
            release(lock)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
