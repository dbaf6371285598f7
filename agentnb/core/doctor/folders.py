"""The settings, the home and the workspace."""

from __future__ import annotations

import os
import shutil
import stat
from shlex import quote
from typing import TYPE_CHECKING

from agentnb.core.doctor.diagnosis import FAILED, OK, WARNING, Finding
from agentnb.core.format import size
from agentnb.core.nearest import did_you_mean
from agentnb.core.paths import is_network
from agentnb.core.settings.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentnb.core.doctor.surroundings import Surroundings
    from agentnb.core.settings import Settings

__all__ = ["home", "settings", "workspace"]

_LITTLE, _NONE = 1_000_000_000, 50_000_000  # bytes that are free
_OPEN = 0o077


def settings(here: Surroundings) -> Iterator[Finding]:
    """Yield the source of the settings, and each variable that is none."""
    known = here.settings
    if known is None:
        return
    dotenv = known.root / ".env"
    source = f"{dotenv}, trusted" if dotenv.is_file() else f"no .env in {known.root}"
    given = [field.variable for field in FIELDS if known.source(field.name) != "default"]
    yield Finding("settings", OK, f"{source}; {_set(given)}")
    names = [field.variable for field in FIELDS]
    for name in known.unknown_variables():
        near = did_you_mean(name, names)
        yield Finding(
            "settings",
            WARNING,
            f"{name} is set and means nothing",
            near or f"unset {name} (agentnb status lists the settings)",
        )


def _set(names: list[str]) -> str:
    if not names:
        return "every setting has its default"
    return f"set: {', '.join(names)}"


def home(here: Surroundings) -> Iterator[Finding]:
    """Yield rights, room and file system of the home."""
    if here.settings is not None:
        yield from _home(here.settings.home, _is_needed(here.settings))


def _is_needed(known: Settings) -> bool:
    return known.database_url is None or known.redis_url is None


def _home(folder: Path, needed: bool) -> Iterator[Finding]:  # noqa: FBT001 - called by position
    mend = "set AGENTNB_HOME to a folder that you may write to"
    around = _existing(folder)
    if around is None or not os.access(around, os.W_OK | os.X_OK):
        yield Finding("home", FAILED if needed else WARNING, f"{folder} is not writable", mend)
        return
    found = [str(folder)]
    if folder.exists():
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & _OPEN:
            yield Finding(
                "home",
                WARNING,
                f"{folder} is open to other users (mode {mode:04o})",
                f"chmod 700 {quote(str(folder))}",
            )
            return
        found.append(f"mode {mode:04o}")
    else:
        found.append("made on the first use")
    free = shutil.disk_usage(around).free
    found.append(f"{size(free)} free")
    if free < _LITTLE:
        state = FAILED if free < _NONE and needed else WARNING
        yield Finding("home", state, ", ".join(found), f"free some room on the disk of {around}")
        return
    if is_network(around.resolve()) and needed:
        yield Finding(
            "home",
            WARNING,
            f"{', '.join(found)}, on a network file system, where SQLite's locks are not sure",
            "set AGENTNB_HOME to a local disk, or DATABASE_URL and REDIS_URL to servers",
        )
        return
    yield Finding("home", OK, ", ".join(found))


def workspace(here: Surroundings) -> Iterator[Finding]:
    """Yield whether agents can write to the workspace."""
    known = here.settings
    if known is None:
        return
    folder = known.workspace
    around = _existing(folder)
    if known.workspace_read_only:
        yield Finding("workspace", OK, f"{folder}, read only")
    elif around is None or not os.access(around, os.W_OK | os.X_OK):
        mend = "set AGENTNB_WORKSPACE to a folder that you may write to"
        yield Finding("workspace", FAILED, f"{folder} is not writable", mend)
    else:
        there = "" if folder.exists() else ", made on the first use"
        yield Finding("workspace", OK, f"{folder}{there}")


def _existing(folder: Path) -> Path | None:
    """Return a folder, or the nearest around it that exists; None where that is a file."""
    for one in (folder, *folder.parents):
        if one.exists():
            return one if one.is_dir() else None
    return None
