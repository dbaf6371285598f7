"""A picture that the package has drawn, parts of which can be picked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from agentnb.panels.base.static import read

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Picture"]


class _Canvas(anywidget.AnyWidget):
    """The wire to the page."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    html = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    height = traitlets.Unicode().tag(sync=True)

    def __init__(self, **state: object) -> None:
        self.text = ""
        super().__init__(_esm=read("picture.js"), _css=read("picture.css"), **state)

    @property
    def static_label(self) -> str:
        return ""  # the text has it

    def static_html(self) -> str:
        return f'<div style="overflow:auto">{self.html}</div>' if self.html else ""

    def static_text(self) -> str:
        return self.text


class Picture:
    """HTML or SVG that the package has made; it stays where it was scrolled to.

    Parts with an attribute ``data-pick`` can be picked, by mouse and keyboard.

    Parameters
    ----------
    label
        The accessible name.
    on_pick
        Called with the value of the attribute. It may run in a second thread. Pass it through
        `Panel.action`, so that what it raises is shown.
    height
        Greatest height, any CSS length; what is longer scrolls.

    Examples
    --------
    >>> picture = Picture("Graph")
    >>> picture.show("<svg></svg>", "2 tasks")
    >>> picture.widget.static_text()
    '2 tasks'
    >>> picture.close()
    """

    def __init__(
        self,
        label: str,
        *,
        on_pick: Callable[[str], object] | None = None,
        height: str = "420px",
    ) -> None:
        self.on_pick = on_pick
        self.widget = _Canvas(label=label, height=height)
        self.widget.on_msg(self._received)

    def show(self, html: str, text: str = "") -> None:
        """Show it in the place of the one before.

        Parameters
        ----------
        html
            Made by the package; texts of users are escaped.
        text
            The same in words, for viewers that show only text.
        """
        self.widget.text = text
        # A lone surrogate cannot be sent as JSON in UTF-8; the same again is not sent.
        self.widget.html = html.encode("utf-8", "replace").decode("utf-8")
        self.widget.layout.display = None if html else "none"

    def close(self) -> None:
        """Close the widget. The panel that it is in does so too."""
        self.widget.layout.close()
        self.widget.close()

    def _received(self, _: object, content: dict[str, Any], __: object) -> None:
        """Handle a message of the page, which is not trusted to be well formed."""
        name = content.get("name")
        if content.get("do") == "pick" and isinstance(name, str) and self.on_pick is not None:
            self.on_pick(name)
