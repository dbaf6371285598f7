"""A panel in a tab beside the notebook, where the package sidecar is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from IPython.display import display

if TYPE_CHECKING:
    from agentnb.panels import Panel

__all__ = ["show_beside"]

_WITHOUT = (
    "sidecar is not installed, so the panel is in this output. "
    "pip install sidecar and reload the page; or right-click the output: "
    "Create New View for Output"
)


def show_beside(panel: Panel) -> None:
    """Show a panel in a tab of its own, which is closed with it.

    A cell that runs again closes its panel of before, and so its tab.
    """
    show: Any = display
    if find_spec("sidecar") is None:
        show(panel)
        print(_WITHOUT)  # noqa: T201 - the answer to a command
        return
    side = import_module("sidecar").Sidecar(title=panel.title, anchor="split-right")
    panel.on_close(side.close)
    with side:
        show(panel)
