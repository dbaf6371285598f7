"""Every backing service of an agent system, at the prompt of a notebook and in a script.

In a notebook, ``%load_ext agentnb``. In Python::

    import agentnb

    with agentnb.connect() as hub:
        hub.db.query("select 1")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from agentnb import errors
    from agentnb.core.errors import (
        AgentnbError,
        CircuitOpen,
        ConfigError,
        DeadlineExceeded,
        NotFoundError,
        RejectedError,
        UnavailableError,
        UsageError,
    )
    from agentnb.core.hub import Hub, connect
    from agentnb.core.trace.context import correlation

__all__ = [
    "AgentnbError",
    "CircuitOpen",
    "ConfigError",
    "DeadlineExceeded",
    "Hub",
    "NotFoundError",
    "RejectedError",
    "UnavailableError",
    "UsageError",
    "connect",
    "correlation",
    "errors",
    "load_ipython_extension",
    "unload_ipython_extension",
]

_MODULES = {
    **dict.fromkeys(("Hub", "connect"), "agentnb.core.hub"),
    "correlation": "agentnb.core.trace.context",
}

__version__ = "0.1.0"


if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        # Imported on first use, so that `import agentnb` costs nothing.
        if name not in __all__:
            raise AttributeError(f"module 'agentnb' has no attribute {name!r}")
        from importlib import import_module

        if name == "errors":
            return import_module("agentnb.errors")
        module = _MODULES.get(name, "agentnb.core.errors")
        value = globals()[name] = getattr(import_module(module), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics and put ``hub`` into the namespace: ``%load_ext agentnb``."""
    from agentnb.core.imports import protect_imports

    protect_imports()
    from agentnb.magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take everything out again and close what was opened: ``%unload_ext agentnb``."""
    from agentnb.magics import unload

    unload(shell)
