"""The address and the token that a running server leaves in the home."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.errors import ConfigError
from agentnb.core.trust import Trust, private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Running", "kept_token", "noted", "running"]

_FOLDER, _TOKEN, _RUNNING, _LOCK = "serve", "token", "running.json", "lock"
_SHORTEST = 8
_OTHER = "another server of this home runs: notebooks go to that one by themselves"
_TRIES, _PAUSE = 10, 0.02


class Running(NamedTuple):
    """A server that runs."""

    url: str
    token: str


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def kept_token(home: Path) -> tuple[str, Path, bool]:
    """Return the home's token, its file, and whether it was made just now.

    Raises
    ------
    ConfigError
        The file cannot be read or written, or others may read it.
    """
    path = home / _FOLDER / _TOKEN
    try:
        private_folder(path.parent, service="websocket")
        try:
            text = path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            text = ""
        if len(text) >= _SHORTEST:
            if path.stat().st_mode & 0o077:
                raise ConfigError(
                    f"others may read the token in {path}",
                    service="websocket",
                    hint=f"remove it, and another is made: rm {path}",
                )
            return text, path, False
        text = secrets.token_urlsafe(32)
        _write(path, text)
    except OSError as error:
        raise ConfigError(
            f"the token cannot be kept: {error}",
            service="websocket",
            hint="set AGENTNB_SERVE_TOKEN, or AGENTNB_HOME to a folder that you may write to",
        ) from error
    return text, path, True


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
            _write(folder / _RUNNING, json.dumps({"url": url, "token": token}))
            hidden = ""
    except OSError as error:  # such as in a container whose root is read-only
        hidden = f"clients need the URL, since the home cannot be written to: {error}"
    try:
        yield hidden
    finally:
        if found:
            (folder / _RUNNING).unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


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
            os.close(lock)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
