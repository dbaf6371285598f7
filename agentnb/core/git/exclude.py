"""A repository's own ignored paths, in ``.git/info/exclude``."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import secrets
from typing import TYPE_CHECKING, Final

from agentnb.core.flock import release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentnb.core.git.discovery import Folders

__all__ = ["hide", "hides", "unhide"]

_WHY: Final = "# agentnb keeps work of its own there"
_SPECIAL = re.compile(r"([\\*?\[\]!# ])")


def hide(found: Folders, folder: Path) -> bool:
    """Leave a folder out, and return whether it is.

    It is not where ``info`` or ``exclude`` is a link, which is followed nowhere.
    """
    pattern = _pattern(found, folder)
    with _locked(found) as usable:
        lines = _read(found) if usable else None
        if lines is None:
            return False
        if (_WHY, pattern) not in _pairs(lines):
            _write(found, [*lines, _WHY, pattern])
    return True


def unhide(found: Folders, folder: Path) -> None:
    """Take a folder in again that `hide` had left out."""
    if not hides(found, folder):
        return
    ours = (_WHY, _pattern(found, folder))
    with _locked(found) as usable:
        lines = _read(found) if usable else None
        if lines is None:
            return
        drop = {n + step for n, pair in enumerate(_pairs(lines)) if pair == ours for step in (0, 1)}
        _write(found, [line for number, line in enumerate(lines) if number not in drop])


def hides(found: Folders, folder: Path) -> bool:
    """Return whether a folder is left out by `hide`."""
    return (_WHY, _pattern(found, folder)) in _pairs(_read(found) or [])


def _pattern(found: Folders, folder: Path) -> str:
    inner = _SPECIAL.sub(r"\\\1", folder.relative_to(found.root).as_posix())
    return f"/{inner}/"


def _pairs(lines: list[str]) -> list[tuple[str, str]]:
    return list(itertools.pairwise(lines))


def _file(found: Folders) -> Path:
    return found.common_dir / "info" / "exclude"


@contextlib.contextmanager
def _locked(found: Folders) -> Iterator[bool]:
    """Hold the folder of the file; False where it is no folder of the repository's own."""
    folder = _file(found).parent
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield True
    finally:
        release(descriptor)


def _read(found: Folders) -> list[str] | None:
    """Return the lines; None where the file is a link, or none."""
    try:
        descriptor = os.open(_file(found), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    except OSError:
        return None
    with os.fdopen(descriptor, encoding="utf-8", errors="surrogateescape") as text:
        return text.read().splitlines()


def _write(found: Folders, lines: list[str]) -> None:
    file = _file(found)
    beside = file.with_name(f"exclude.{secrets.token_hex(4)}")
    text = "".join(f"{line}\n" for line in lines)
    try:
        beside.write_text(text, encoding="utf-8", errors="surrogateescape")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
