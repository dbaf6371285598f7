"""The project's root folder and its ``.env`` file."""

from __future__ import annotations

import os
from io import StringIO
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError
from agentnb.core.settings.fields import Value
from agentnb.core.trust import VARIABLE, Trust

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["find_root", "is_project", "read_dotenv"]


def find_root(start: Path, trust: Trust | None = None) -> Path:
    """Return the nearest folder upwards that holds ``.agentnb``, ``.env`` or ``.git``.

    A folder called ``.env`` is a virtual environment and does not count.

    Parameters
    ----------
    start
        Where to begin.
    trust
        Decides which markers count; default: as ``AGENTNB_TRUST`` says.

    Raises
    ------
    UntrustedPath
        A marker of the nearest such folder belongs to another user, or can be written by one.
    """
    trust = Trust.of() if trust is None else trust
    start = start.resolve()
    for folder in (start, *start.parents):
        if markers := _markers(folder):
            for marker in markers:
                # Nothing is read from the folder itself, which is made private if it is the home.
                trust.check(marker, service="settings", own=marker.name == ".agentnb")
            return folder
    return start


def is_project(folder: Path) -> bool:
    """Return whether a folder holds ``.agentnb``, ``.env`` or ``.git``."""
    return bool(_markers(folder))


def _markers(folder: Path) -> list[Path]:
    home, dotenv, git = folder / ".agentnb", folder / ".env", folder / ".git"
    try:
        markers = {home: home.is_dir(), dotenv: dotenv.is_file(), git: git.exists()}
    except PermissionError:
        return []  # a folder that may not be looked into belongs to somebody else
    return [path for path, exists in markers.items() if exists]


def read_dotenv(path: Path, trust: Trust) -> dict[str, Value]:
    """Return the variables of a ``.env`` file, none if there is no such file.

    Raises
    ------
    UntrustedPath
        It belongs to another user, or can be written by one.
    ConfigError
        It cannot be read, or a line is malformed; the message has its number.
    """
    if not path.is_file():
        return {}
    try:
        # Of the file that is open: what the name stands for may change at any time.
        with path.open(encoding="utf-8-sig") as file:
            trust.check(path, os.fstat(file.fileno()), service="settings")
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}",
            service="settings",
            hint="it is a text file in UTF-8, with NAME=value on each line",
        ) from error
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            # The parser counts blank lines in front as a part of the line.
            text = binding.original.string
            line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
            raise ConfigError(
                f"{path}, line {line}, is malformed",
                service="settings",
                hint="each line is NAME=value; quote a value that holds spaces or #",
            )
    values = dotenv_values(stream=StringIO(text))
    if VARIABLE in values:
        raise ConfigError(
            f"{path} sets {VARIABLE}, which counts in the environment alone",
            service="settings",
            hint=f"export {VARIABLE}=PATH in the shell that starts the notebook",
        )
    return {name: Value(value, str(path)) for name, value in values.items()}
