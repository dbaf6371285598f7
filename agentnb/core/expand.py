"""Replace ``~`` in paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError

if TYPE_CHECKING:
    import os

__all__ = ["expand"]


def expand(path: str | os.PathLike[str], *, service: str) -> Path:
    """Return a path with the home directory in the place of ``~`` or ``~user``.

    Parameters
    ----------
    path
        The path; returned unchanged where it does not begin with ``~``.
    service
        The service of errors.

    Raises
    ------
    ConfigError
        The user is unknown, or has no home directory, as a user id of a container has none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = Path(path).parts[0]
        raise ConfigError(
            f"{user} of {str(path)!r:.100} has no home directory",
            service=service,
            hint="set HOME, or give the path from / on",
        ) from error
