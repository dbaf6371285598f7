"""Small parts to compose a panel of: buttons, text boxes, choices, rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from agentnb.panels.base.saved import html_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "button",
    "label",
    "row",
    "split",
    "stack",
    "text_box",
    "toggle",
    "widget_of",
]


def widget_of(part: object) -> ipywidgets.Widget:
    """Return the widget of a part: itself, or, of a view such as a table, its ``.widget``."""
    return part if isinstance(part, ipywidgets.Widget) else part.widget  # type: ignore[attr-defined]


def button(
    text: str,
    on_click: Callable[[], object],
    *,
    tooltip: str = "",
    icon: str | None = None,
    danger: bool = False,
    primary: bool = False,
) -> ipywidgets.Button:
    """Return a button.

    Parameters
    ----------
    text
        The label; may be empty if there is an icon.
    on_click
        Called without arguments. Pass it through `Panel.action`, so that what it raises is shown.
    tooltip
        The effect; also the accessible name.
    icon
        A Font Awesome 4 name such as ``"play"``.
    danger
        Show that it destroys something.
    primary
        Show that it is the one most people want.
    """
    made = ipywidgets.Button(description=text, tooltip=tooltip or text, icon=icon or "")
    made.layout.width = "auto"
    made.add_class("agentnb-button")
    if danger:
        made.add_class("agentnb-danger")
    if primary:
        made.add_class("agentnb-primary")
    made.on_click(lambda _: on_click())
    return made


def toggle(
    text: str, on_change: Callable[[bool], object], *, tooltip: str = ""
) -> ipywidgets.ToggleButton:
    """Return a button that stays pressed until it is clicked again.

    Parameters
    ----------
    text
        The label.
    on_change
        Called with whether it is pressed.
    tooltip
        The action.
    """
    made = ipywidgets.ToggleButton(description=text, tooltip=tooltip or text)
    made.layout.width = "auto"
    made.add_class("agentnb-button")
    made.observe(lambda change: on_change(change["new"]), names="value")
    return made


def text_box(
    *,
    placeholder: str = "",
    value: str = "",
    tooltip: str = "",
    rows: int = 1,
    width: str = "auto",
    on_change: Callable[[str], object] | None = None,
) -> Any:
    """Return a box for a line of text, or, with `rows`, for several.

    Parameters
    ----------
    placeholder
        The text of an empty box: an example of what to type.
    value
        The first text.
    tooltip
        The purpose; also the accessible name.
    rows
        Lines of text.
    width
        Any CSS length; ``"auto"`` takes the room that is left.
    on_change
        Called with the text when Enter is pressed or the focus leaves.
    """
    options: dict[str, object] = {
        "placeholder": placeholder,
        "value": value,
        "tooltip": tooltip or placeholder,
        # Every key would otherwise be a message.
        "continuous_update": False,
    }
    made = ipywidgets.Text(**options) if rows == 1 else ipywidgets.Textarea(rows=rows, **options)
    made.layout.width = width
    if width == "auto":
        made.layout.flex = "1 1 auto" if rows == 1 else "0 0 auto"  # several stand in a stack
    made.add_class("agentnb-text")
    if on_change is not None:
        made.observe(lambda change: on_change(change["new"]), names="value")
    return made


def label(text: str, *, dim: bool = False) -> ipywidgets.HTML:
    """Return a line of text; set a new one with ``made.value = html.escape(text)``."""
    made = ipywidgets.HTML(html_of(text))
    made.add_class("agentnb-dim" if dim else "agentnb-label")
    return made


def stack(*parts: object) -> ipywidgets.VBox:
    """Return the parts one above the other."""
    made = ipywidgets.VBox([widget_of(part) for part in parts])
    made.add_class("agentnb-stack")
    return made


def split(
    left: ipywidgets.VBox, right: ipywidgets.VBox, *, wide_left: bool = False
) -> ipywidgets.HBox:
    """Return two stacks side by side; the left one is the narrower, or with `wide_left` not."""
    made = ipywidgets.HBox([left, right])
    made.add_class("agentnb-split")
    if wide_left:
        made.add_class("agentnb-wide-left")
    return made


def row(*parts: object) -> ipywidgets.HBox:
    """Return the parts side by side."""
    made = ipywidgets.HBox([widget_of(part) for part in parts])
    made.add_class("agentnb-row")
    return made
