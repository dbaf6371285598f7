"""What is read from files: where the project begins, and its ``.env``."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError
from agentnb.core.settings.fields import Value

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["find_root", "read_dotenv"]


def find_root(start: Path) -> Path:
    """Return the nearest folder upwards that holds ``.agentnb``, ``.env`` or ``.git``.

    A folder called ``.env`` is a virtual environment, and marks nothing.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if _is_marked(folder):
            return folder
    return start


def _is_marked(folder: Path) -> bool:
    try:
        return (
            (folder / ".agentnb").is_dir()
            or (folder / ".env").is_file()
            or (folder / ".git").exists()
        )
    except PermissionError:
        return False  # a folder that may not be looked into belongs to somebody else


def read_dotenv(path: Path) -> dict[str, Value]:
    """Return the variables of a ``.env`` file, none if there is no such file.

    Raises
    ------
    ConfigError
        It cannot be read, or a line is malformed; the message has its number.
    """
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
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
    return {name: Value(value, str(path)) for name, value in values.items()}
