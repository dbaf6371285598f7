"""The check for the packages of the extra ``ai``."""

from __future__ import annotations

from importlib.util import find_spec

from agentnb.core.errors import ConfigError

__all__ = ["require_ai"]

_INSTALL = "%pip install 'agentnb-toolkit[ai]'"


def require_ai(needs: str, *packages: str) -> None:
    """Refuse to go on where the packages of the extra ``ai`` are not installed.

    Parameters
    ----------
    needs
        The part of agentnb that needs them.
    *packages
        The packages that it needs beside ``pydantic_ai``.

    Raises
    ------
    ConfigError
        One is missing; the hint is the line that installs it.
    """
    missing = [name for name in ("pydantic_ai", *packages) if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigError(
            f"{needs} needs {' and '.join(missing)}, which {verb} not installed here",
            service="llm",
            hint=_INSTALL,
        )
