"""Tokens of servers, made once and kept in the home."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError
from agentnb.core.trust import private_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["kept_token", "write_private"]

_TOKEN = "token"  # noqa: S105 - the name of a file
_SHORTEST = 8


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def kept_token(folder: Path, *, service: str, variable: str) -> tuple[str, Path, bool]:
    """Return the token of a server, its file, and whether it was made just now.

    Parameters
    ----------
    folder
        The folder in the home, which is made.
    service
        The service of errors.
    variable
        The variable that gives another token.

    Raises
    ------
    ConfigError
        The file cannot be read or written, or others may read it.
    """
    path = folder / _TOKEN
    try:
        private_folder(folder, service=service)
        try:
            text = path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            text = ""
        if len(text) >= _SHORTEST:
            if path.stat().st_mode & 0o077:
                raise ConfigError(
                    f"others may read the token in {path}",
                    service=service,
                    hint=f"remove it, and another is made: rm {path}",
                )
            return text, path, False
        text = secrets.token_urlsafe(32)
        write_private(path, text)
    except OSError as error:
        raise ConfigError(
            f"the token cannot be kept: {error}",
            service=service,
            hint=f"set {variable}, or AGENTNB_HOME to a folder that you may write to",
        ) from error
    return text, path, True
