"""A progress bar for long calls."""

from __future__ import annotations

from html import escape
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Progress"]

_SHOW_AFTER = 0.5
_EVERY = 0.1


class Progress:
    """A bar that appears if a call takes long, and disappears at its end.

    Parameters
    ----------
    what
        The name of the work.
    unit
        Returns the text of a number, such as `agentnb.core.format.size`.
    after
        Seconds before it appears.
    """

    def __init__(
        self,
        what: str,
        unit: Callable[[int], object] = "{:,}".format,
        *,
        after: float = _SHOW_AFTER,
    ) -> None:
        self._what = what
        self._unit = unit
        self._after = after
        self._begun = self._last = monotonic()
        self._handle: Any = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show the share that is done."""
        now = monotonic()
        soon = now - self._begun < self._after
        if soon or (self._handle is not None and now - self._last < _EVERY):
            return
        self._last = now
        from IPython.display import display

        show: Any = display
        shown = _Bar(self._what, done, total, self._unit)
        if self._handle is None:
            self._handle = show(shown, display_id=True)
        else:
            self._handle.update(shown)

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.update(_Bar("", 0, 0, self._unit))


class _Bar:
    def __init__(self, what: str, done: int, total: int, unit: Callable[[int], object]) -> None:
        self._what, self._done, self._total, self._unit = what, done, total, unit

    def __repr__(self) -> str:
        if not self._what:
            return ""
        return f"{self._what}: {self._unit(self._done)} of {self._unit(self._total)}"

    def _repr_html_(self) -> str:
        if not self._what:
            return ""
        return (
            f'<progress max="{self._total}" value="{self._done}" '
            f'style="width:16em;vertical-align:middle"></progress> {escape(repr(self))}'
        )
