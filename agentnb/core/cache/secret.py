"""The secret of a home, by which the cache knows what this home has kept."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from agentnb.core.errors import AgentnbError
from agentnb.core.paths import ensure_home

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["secret_of"]

_BYTES = 32
_NAME = "cache.key"


def secret_of(home: Path | None) -> bytes:
    """Return the secret of a home; a new one without a home, or where none can be kept.

    >>> secret_of(None) == secret_of(None)
    False
    """
    made = secrets.token_bytes(_BYTES)
    if home is None:
        return made
    path = home / _NAME
    with suppress(OSError, AgentnbError):
        return _read(path) or _write(path, made)
    return made


def _read(path: Path) -> bytes | None:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    return found if len(found) == _BYTES else None


def _write(path: Path, made: bytes) -> bytes:
    """Write a secret as a whole, and return the one that is there: another may be faster."""
    ensure_home(path.parent)
    aside = path.with_name(f"{_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, made)
    finally:
        os.close(file)
    try:
        try:
            os.link(aside, path)  # which never replaces one
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            aside.replace(path)
        found = _read(path)
        if found is None:  # one that was cut off
            aside.replace(path)
            found = made
    finally:
        with suppress(OSError):
            aside.unlink()
    return found
