"""The base of every panel: life cycle, refresh, table, guard, theme, static fallback."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentnb.panels.base.blocks import HtmlBlock, TextBlock
    from agentnb.panels.base.confirm import Confirm
    from agentnb.panels.base.indicators import Indicator, progress, stacked, state
    from agentnb.panels.base.notice import Notice
    from agentnb.panels.base.pace import Paced
    from agentnb.panels.base.panel import Panel
    from agentnb.panels.base.parts import button, label, row, split, stack, text_box, toggle
    from agentnb.panels.base.picture import Picture
    from agentnb.panels.base.plot import Plot
    from agentnb.panels.base.registry import PanelRegistry, cell_id, run_id
    from agentnb.panels.base.saved import Instruction, moment
    from agentnb.panels.base.schedules import Schedules
    from agentnb.panels.base.select import choice
    from agentnb.panels.base.table import TableView
    from agentnb.panels.base.units import Left, Spark

__all__ = [
    "Confirm",
    "HtmlBlock",
    "Indicator",
    "Instruction",
    "Left",
    "Notice",
    "Paced",
    "Panel",
    "PanelRegistry",
    "Picture",
    "Plot",
    "Schedules",
    "Spark",
    "TableView",
    "TextBlock",
    "button",
    "cell_id",
    "choice",
    "label",
    "moment",
    "progress",
    "row",
    "run_id",
    "split",
    "stack",
    "stacked",
    "state",
    "text_box",
    "toggle",
]

_HOME = {
    "Confirm": "confirm",
    "Indicator": "indicators",
    "HtmlBlock": "blocks",
    "Instruction": "saved",
    "Left": "units",
    "Notice": "notice",
    "Paced": "pace",
    "Panel": "panel",
    "PanelRegistry": "registry",
    "Picture": "picture",
    "Plot": "plot",
    "Schedules": "schedules",
    "Spark": "units",
    "TableView": "table",
    "TextBlock": "blocks",
    "button": "parts",
    "cell_id": "registry",
    "choice": "select",
    "label": "parts",
    "moment": "saved",
    "progress": "indicators",
    "row": "parts",
    "run_id": "registry",
    "split": "parts",
    "stack": "parts",
    "stacked": "indicators",
    "state": "indicators",
    "text_box": "parts",
    "toggle": "parts",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
