"""Small parts to compose a panel of: buttons, text boxes, choices, rows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.panels.base.panel import Panel

__all__ = [
    "Confirm",
    "HtmlBlock",
    "TextBlock",
    "button",
    "label",
    "row",
    "split",
    "stack",
    "text_box",
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
        What it says; may be empty if there is an icon.
    on_click
        Called without arguments. Pass it through `Panel.action`, so that what it raises is shown.
    tooltip
        What it does; also its name for those who hear it.
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
        What an empty box says: an example of what to type.
    value
        The first text.
    tooltip
        What it is for; also its name for those who hear it.
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
        made.layout.flex = "1 1 auto"
    made.add_class("agentnb-text")
    if on_change is not None:
        made.observe(lambda change: on_change(change["new"]), names="value")
    return made


def label(text: str, *, dim: bool = False) -> ipywidgets.HTML:
    """Return a line of text; set a new one with ``made.value = html.escape(text)``."""
    made = ipywidgets.HTML(escape(text))
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


class Confirm:
    """A button that asks before it does.

    The first click finds out what would be done and offers it, in words, on a second button
    beside the first, which now takes it back: a double click does nothing. What was offered is
    what is done, whatever has changed since.

    Parameters
    ----------
    panel
        Shows what goes wrong, and what was done.
    text
        What the first button says.
    ask
        Returns what the second button says, and what `do` is to be given. Raises if there is
        nothing to do.
    do
        Does it and returns what the panel says then.
    tooltip
        What it is for; also its name for those who hear it.
    icon
        A Font Awesome 4 name such as ``"trash"``.
    danger
        Show that it destroys something.
    back
        What the first button says while it takes back.
    """

    def __init__(
        self,
        panel: Panel,
        text: str,
        ask: Callable[[], tuple[str, Any]],
        do: Callable[[Any], str],
        *,
        tooltip: str = "",
        icon: str = "trash",
        danger: bool = True,
        back: str = "Cancel",
    ) -> None:
        self._text, self._tooltip, self._icon = text, tooltip or text, icon
        self._back = back
        self._ask, self._do = ask, do
        self._subject: Any = None
        self.asking = False
        act = panel.action
        self.first = button(
            text, act(self._clicked, self._offer), tooltip=tooltip, icon=icon, danger=danger
        )
        self.second = button("", act(self._confirmed, panel.say), danger=danger, primary=True)
        self.second.layout.display = "none"
        self.widget = row(self.first, self.second)

    def reset(self) -> None:
        """Ask again at the next click."""
        self.asking, self._subject = False, None
        self.first.description, self.first.icon = self._text, self._icon
        self.first.tooltip = self._tooltip
        self.second.layout.display = "none"

    def _clicked(self) -> tuple[str, Any] | None:
        return None if self.asking else self._ask()

    def _offer(self, offer: tuple[str, Any] | None) -> None:
        if offer is None:
            self.reset()
            return
        words, self._subject = offer
        self.asking = True
        self.first.description, self.first.icon = self._back, ""
        self.first.tooltip = self._back
        self.second.description = self.second.tooltip = words
        self.second.layout.display = None

    def _confirmed(self) -> str:
        if not self.asking:  # the click of another view, or one that came late
            return ""
        subject = self._subject
        self.reset()
        return self._do(subject)


class HtmlBlock:
    """HTML that the package has made, which scrolls where it is long.

    Parameters
    ----------
    label
        What it is, for those who hear it.
    height
        Greatest height, any CSS length.
    """

    def __init__(self, label: str, *, height: str = "360px") -> None:
        self._label, self._height = label, height
        self._shown = ""
        self.widget = ipywidgets.HTML()
        self.widget.add_class("agentnb-html-block")

    def show(self, html: str) -> None:
        """Show it in the place of the one before; the same again keeps where it was scrolled to."""
        if html == self._shown:
            return
        self._shown = html
        html = html.encode("utf-8", "replace").decode("utf-8")  # as in TextBlock
        style = f"max-height:{self._height};overflow:auto"
        start = f'<div tabindex="0" role="region" aria-label="{escape(self._label)}"'
        self.widget.value = f'{start} style="{style}">{html}</div>' if html else ""


class TextBlock:
    """Text as it is, in the notebook's code font, that scrolls where it is long.

    Parameters
    ----------
    label
        What the text is, for those who hear it.
    heading
        Whether that stands above the text too.
    wrap
        Whether a line that is too long goes on in the next one.
    """

    def __init__(self, label: str, *, heading: bool = False, wrap: bool = False) -> None:
        self._label, self._heading = label, heading
        self.widget = ipywidgets.HTML()
        self.widget.add_class("agentnb-text-block")
        if wrap:
            self.widget.add_class("agentnb-wrap")

    def show(self, text: str) -> None:
        """Show a text in the place of the one before; an empty one takes up no room."""
        # A lone surrogate cannot be sent as JSON in UTF-8.
        text = text.encode("utf-8", "replace").decode("utf-8")
        # Focusable, so that the keyboard can scroll it.
        start = f'<pre tabindex="0" role="region" aria-label="{escape(self._label)}">'
        above = f'<div class="agentnb-heading">{escape(self._label)}</div>' if self._heading else ""
        self.widget.value = f"{above}{start}{escape(text)}</pre>" if text else ""
        self.widget.layout.display = None if text else "none"
