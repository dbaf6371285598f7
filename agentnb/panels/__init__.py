"""Panels: live views over the core, made of widgets.

Importing this package loads no widget library; the names below do, on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.panels import base

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.hub import Hub
    from agentnb.panels.base import *  # noqa: F403 - its names, which it lists itself

__all__ = ["open_panel"]
__all__ += base.__all__

# One file a panel, of the same name as the capability that it shows.
_PANELS = (
    "agentnb",
    "cache",
    "db",
    "docker",
    "events",
    "files",
    "git",
    "grid",
    "queue",
    "trace",
    "workflow",
)
# One cell may show any number of grids, each of which holds an engine and its rows.
_MOST = {"grid": 50}


def open_panel(
    registry: base.PanelRegistry, hub: Hub, name: str, *, shell: object = None, **options: Any
) -> Any:
    """Open a panel by its name, in the place of the one that the same cell opened before.

    Parameters
    ----------
    registry
        Keeps track of what is open.
    hub
        Whose services the panel shows.
    name
        That of what it shows: ``"cache"``, ``"db"``, ...
    shell
        The IPython shell, which knows the cell that is running.
    **options
        The panel's own.

    Raises
    ------
    UsageError
        There is no such panel.
    """
    if name not in _PANELS:
        raise UsageError(
            f"there is no panel {name!r}",
            service="panel",
            hint=did_you_mean(name, _PANELS) or f"panels: {', '.join(_PANELS)}",
        )
    make: Callable[..., Any] = import_module(f"agentnb.panels.{name}").make
    cell, run = base.cell_id(shell), base.run_id(shell)
    return registry.open(name, lambda: make(hub, **options), cell, run, _MOST.get(name))


def __getattr__(name: str) -> object:
    if name not in base.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(base, name)


def __dir__() -> list[str]:
    return __all__
