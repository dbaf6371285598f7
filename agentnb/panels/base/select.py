"""A list to choose one of, which knows a person's choice from what is set by the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from agentnb.core.forking import new_rlock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Choice", "choice"]


class Choice(ipywidgets.Dropdown):  # type: ignore[misc] # ipywidgets has no types
    """A list to choose one of; make it with `choice`.

    The choice comes from the page, in a thread of its own, while a refresh may be at work on
    the same list. A flag for "this is not a choice" would swallow the choices that come while it
    is up, and a trait's observers are called for both. So only a message of the page is a choice.
    """

    def __init__(self, on_change: Callable[[str], object] | None = None, **state: object) -> None:
        self._one_at_a_time = new_rlock()
        self.value: str | None
        self.options: Sequence[str]
        self._on_change = on_change
        super().__init__(**state)

    def show(self, options: Sequence[str], value: str) -> None:
        """Show these options, and this one of them as chosen; this is not a choice of a person."""
        with self._one_at_a_time, self.hold_sync():
            if list(self.options) != list(options):
                self.options = list(options)
            if self.value != value:
                self.value = value

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the page says, and tell of what a person chose there."""
        with self._one_at_a_time:
            super().set_state(sync_data)
            chosen = self.value
        if "index" in sync_data and chosen is not None and self._on_change is not None:
            self._on_change(chosen)


def choice(
    options: Sequence[str],
    *,
    value: str | None = None,
    tooltip: str = "",
    on_change: Callable[[str], object] | None = None,
) -> Choice:
    """Return a list to choose one of.

    Parameters
    ----------
    options
        The options. ``made.show(options, value)`` shows others.
    value
        The initial choice: by default the first option.
    tooltip
        The purpose; also the accessible name.
    on_change
        Called with what a person chose; not for what is set with `show` or as ``value``.
    """
    made = Choice(on_change, options=list(options), tooltip=tooltip)
    if value is not None:
        made.value = value
    made.layout.width = "auto"
    made.add_class("agentnb-choice")
    return made
