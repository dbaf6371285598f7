"""What every panel stands on: life cycle, refresh, table, guard, theme, static fallback."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentnb.panels.base.drawn import Drawn, progress, stacked, state
    from agentnb.panels.base.notice import Notice
    from agentnb.panels.base.panel import Panel
    from agentnb.panels.base.parts import (
        Confirm,
        HtmlBlock,
        TextBlock,
        button,
        label,
        row,
        split,
        stack,
        text_box,
    )
    from agentnb.panels.base.picture import Picture
    from agentnb.panels.base.plot import Plot
    from agentnb.panels.base.registry import PanelRegistry, cell_id, run_id
    from agentnb.panels.base.select import choice
    from agentnb.panels.base.table import TableView
    from agentnb.panels.base.units import Duration, Seconds, Size, Spark

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
    "progress",
    "row",
    "run_id",
    "split",
    "stack",
    "stacked",
    "state",
    "text_box",
]

_HOME = {
    "Confirm": "parts",
    "Drawn": "drawn",
    "Duration": "units",
    "HtmlBlock": "parts",
    "Notice": "notice",
    "Panel": "panel",
    "PanelRegistry": "registry",
    "Picture": "picture",
    "Plot": "plot",
    "Seconds": "units",
    "Size": "units",
    "Spark": "units",
    "TableView": "table",
    "TextBlock": "parts",
    "button": "parts",
    "cell_id": "registry",
    "choice": "select",
    "label": "parts",
    "progress": "drawn",
    "row": "parts",
    "run_id": "registry",
    "split": "parts",
    "stack": "parts",
    "stacked": "drawn",
    "state": "drawn",
    "text_box": "parts",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
