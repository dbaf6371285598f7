"""The title bar of a panel, and its eyes and ears in the page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from agentnb.core.errors import AgentnbError
from agentnb.core.format import cut
from agentnb.panels.base.static import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Bar", "error_line"]

_LONGEST_REASON = 240
_SCRIPTS = ("clipboard.js", "guard.js", "bar.js")


class _BarWidget(anywidget.AnyWidget):
    """The title bar as the page sees it; the script also guards everything around it."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    periodic = traitlets.Bool().tag(sync=True)
    status = traitlets.Dict().tag(sync=True, to_json=lambda value, _: _with_age(value))
    message = traitlets.Dict().tag(sync=True)
    keys_help: traitlets.List[list[str]] = traitlets.List().tag(sync=True)

    def __init__(self, **state: object) -> None:
        super().__init__(_esm="".join(map(read, _SCRIPTS)), _css=read("panel.css"), **state)


def _with_age(status: dict[str, Any]) -> dict[str, object]:
    """Give a new view the age, since the page's clock may differ from this one."""
    at = status.get("at")
    return {
        "n": status.get("n", 0),
        "state": status.get("state", "loading"),
        "reason": status.get("reason", ""),
        "age": None if at is None else round(time.monotonic() - at, 1),
    }


class Bar:
    """Title, state and the buttons; tells what is clicked and whether anyone looks.

    Parameters
    ----------
    label
        The panel's title.
    periodic
        Whether there is something to pause.
    on_ask
        Called with ``"refresh"``, ``"pause"`` or ``"close"`` when such a button is clicked.
    on_look
        Called with how many views are open whenever a view opens, closes or says it is there.
    on_submit
        Called with the mark of a text box and its text when its key is pressed.
    keys_help
        Keys, each with what it does, that the help says.
    """

    def __init__(
        self,
        label: str,
        *,
        periodic: bool,
        on_ask: Callable[[str], None],
        on_look: Callable[[int], None],
        on_submit: Callable[[str, str], None],
        keys_help: Sequence[tuple[str, str]],
    ) -> None:
        self._on_ask, self._on_look, self._on_submit = on_ask, on_look, on_submit
        self._views: dict[str, float] = {}
        self._shown = 0
        known = [list(line) for line in keys_help]
        self.widget = _BarWidget(label=label, periodic=periodic, keys_help=known)
        self.widget.on_msg(self._received)

    def show(self, state: str, reason: str = "", *, at: float | None = None) -> None:
        """Show a state, its reason, and when (monotonic seconds) the content was last fresh."""
        # Counted: the page shows a refresh even if state and age did not change.
        self._shown += 1
        self.widget.status = {"n": self._shown, "state": state, "reason": reason, "at": at}

    def say(self, text: str, *, error: bool = False) -> None:
        """Show a line under the title; an empty text takes it away."""
        self.widget.message = {"text": text, "error": error}

    def views(self, within: float) -> int:
        """Return the number of views that were visible within these seconds."""
        since = time.monotonic() - within
        return sum(seen >= since for seen in list(self._views.values()))

    def _received(self, _: object, content: dict[str, Any], __: object) -> None:
        what, view = content.get("do"), str(content.get("view", ""))
        if what in ("refresh", "pause", "close"):
            self._on_ask(what)
        elif what == "submit":
            self._on_submit(str(content.get("box", "")), str(content.get("text", "")))
        elif what == "here":
            self._views[view] = time.monotonic()
            self._on_look(len(self._views))
        elif what == "gone":
            self._views.pop(view, None)
            self._on_look(len(self._views))


def error_line(error: Exception, redact: Callable[[str], str]) -> str:
    """Return the message of an exception in one line, secrets masked."""
    if isinstance(error, AgentnbError):
        text = f"{error.message} ({error.hint})" if error.hint else error.message
    else:
        first = (str(error).strip().splitlines() or [""])[0]
        text = f"{type(error).__name__}: {first}" if first else type(error).__name__
    text = redact(text)
    return cut(text, _LONGEST_REASON)
