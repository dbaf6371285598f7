"""What a running server leaves in the home: its address, and the token that is asked for."""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Running", "forget", "kept_token", "note", "running"]

_FOLDER, _TOKEN, _RUNNING = "serve", "token", "running.json"
_SHORTEST = 8


class Running(NamedTuple):
    """A server that runs."""

    url: str
    token: str
    pid: int


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
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            text = path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            text = ""
        if len(text) >= _SHORTEST:
            if path.stat().st_mode & 0o077:
                raise ConfigError(
                    f"others may read the token in {path}",
                    service="serve",
                    hint=f"remove it, and another is made: rm {path}",
                )
            return text, path, False
        text = secrets.token_urlsafe(32)
        _write(path, text)
    except OSError as error:
        raise ConfigError(
            f"the token cannot be kept: {error}",
            service="serve",
            hint="set AGENTNB_HOME to a folder that you may write to",
        ) from error
    return text, path, True


def note(home: Path, url: str, token: str) -> None:
    """Leave the address of this process's server in the home."""
    folder = home / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    text = json.dumps({"url": url, "token": token, "pid": os.getpid()})
    _write(folder / _RUNNING, text)


def running(home: Path) -> Running | None:
    """Return the server that runs in a home, or None."""
    try:
        found = json.loads((home / _FOLDER / _RUNNING).read_text(encoding="utf-8"))
        made = Running(str(found["url"]), str(found["token"]), int(found["pid"]))
        os.kill(made.pid, 0)
    except PermissionError:
        return made
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made


def forget(home: Path) -> None:
    """Remove the address of this process's server."""
    found = running(home)
    if found is not None and found.pid == os.getpid():
        (home / _FOLDER / _RUNNING).unlink(missing_ok=True)
