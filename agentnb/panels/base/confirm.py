"""A button that asks before it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.panels.base.parts import button, row

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.panels.base.panel import Panel

__all__ = ["Confirm"]


def _call(show: Callable[[], object]) -> None:
    show()


class Confirm:
    """A button that asks before it does.

    The first click determines the action and offers it on a second button
    beside the first, which now takes it back: a double click does nothing. The
    second button does what it offered, whatever has changed since. An action that needs no
    question is done at once.

    Parameters
    ----------
    panel
        Shows what goes wrong, and what was done.
    text
        The label of the first button.
    ask
        Returns what the second button says, and what `do` is to be given. Without words there is
        no question. Raises if there is nothing to do.
    do
        Does it and returns what `show` is given.
    show
        Shows what came of it, under the panel's lock. By default the panel says it.
    tooltip
        The purpose; also the accessible name.
    icon
        A Font Awesome 4 name such as ``"trash"``.
    danger
        Show that it destroys something.
    primary
        Show that the first button is the one most people want.
    back
        The label of the first button while it cancels.
    """

    def __init__(
        self,
        panel: Panel,
        text: str,
        ask: Callable[[], tuple[str, Any]],
        do: Callable[[Any], Any],
        *,
        show: Callable[[Any], object] | None = None,
        tooltip: str = "",
        icon: str = "trash",
        danger: bool = True,
        primary: bool = False,
        back: str = "Cancel",
    ) -> None:
        self._text, self._tooltip, self._icon = text, tooltip or text, icon
        self._back = back
        self._ask, self._do = ask, do
        self._subject: Any = None
        self.asking = False
        self._show = show or panel.say
        act = panel.action
        self.click = act(self._clicked, _call)
        """Do what a click on the first button does."""
        self.first = button(
            text, self.click, tooltip=tooltip, icon=icon, danger=danger, primary=primary
        )
        self.second = button(
            "", act(self._confirmed, _call), danger=danger or primary, primary=True
        )
        self.second.layout.display = "none"
        self.widget = row(self.first, self.second)

    def reset(self) -> None:
        """Ask again at the next click."""
        self.asking, self._subject = False, None
        self.first.description, self.first.icon = self._text, self._icon
        self.first.tooltip = self._tooltip
        self.second.layout.display = "none"

    def rename(self, text: str) -> None:
        """Let the first button say something else from now on."""
        self._text = text
        if not self.asking:
            self.first.description = text

    def _clicked(self) -> Callable[[], object]:
        """Return what is shown of the click."""
        if self.asking:
            return self.reset
        words, subject = self._ask()
        if words:
            return lambda: self._offer(words, subject)
        done = self._do(subject)
        return lambda: self._show(done)

    def _offer(self, words: str, subject: object) -> None:
        self._subject = subject
        self.asking = True
        self.first.description, self.first.icon = self._back, ""
        self.first.tooltip = self._back
        self.second.description = self.second.tooltip = words
        self.second.layout.display = None

    def _confirmed(self) -> Callable[[], object]:
        if not self.asking:  # the click of another view, or one that came late
            return lambda: None
        subject = self._subject
        self.reset()
        done = self._do(subject)
        return lambda: self._show(done)
