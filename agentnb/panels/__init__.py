"""Panels: live views over the core, made of widgets.

Importing this package loads no widget library; the names below do, on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.hub import Hub
    from agentnb.panels.base import (
        Confirm,
        Drawn,
        Duration,
        HtmlBlock,
        Notice,
        Panel,
        PanelRegistry,
        Picture,
        Plot,
        Seconds,
        Size,
        Spark,
        TableView,
        TextBlock,
        button,
        cell_id,
        choice,
        label,
        progress,
        row,
        run_id,
        split,
        stack,
        stacked,
        state,
        text_box,
    )

__all__ = [
    "Confirm",
    "Drawn",
    "Duration",
    "HtmlBlock",
    "Notice",
    "Panel",
    "PanelRegistry",
    "Picture",
    "Plot",
    "Seconds",
    "Size",
    "Spark",
    "TableView",
    "TextBlock",
    "button",
    "cell_id",
    "choice",
    "label",
    "open_panel",
    "progress",
    "row",
    "run_id",
    "split",
    "stack",
    "stacked",
    "state",
    "text_box",
]


# One file a panel, of the same name as the capability that it shows.
_PANELS = (
    "cache",
    "db",
    "docker",
    "events",
    "files",
    "git",
    "queue",
    "workflow",
)


def open_panel(
    registry: PanelRegistry, hub: Hub, name: str, *, shell: object = None, **options: Any
) -> Panel:
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
    from agentnb.panels.base import cell_id, run_id

    make: Callable[..., Panel] = import_module(f"agentnb.panels.{name}").make
    return registry.open(name, lambda: make(hub, **options), cell_id(shell), run_id(shell))


def __getattr__(name: str) -> object:
    if name not in __all__ or name == "open_panel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agentnb.panels import base

    return getattr(base, name)


def __dir__() -> list[str]:
    return __all__
