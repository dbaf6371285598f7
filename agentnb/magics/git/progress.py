"""Progress of a long transfer, on one line that is cleared at its end."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Progress"]

_PATIENCE = 1.0
_EVERY = 0.2
_WIDTH = 78


class Progress:
    """Prints git's progress of a transfer, once it takes longer than a second."""

    def __init__(self) -> None:
        self._began = self._displayed = monotonic()
        self._shown = False

    def __call__(self, line: str) -> None:
        """Show a line in the place of the one before."""
        now = monotonic()
        if now - self._began < _PATIENCE or now - self._displayed < _EVERY:
            return
        from agentnb.core.git.credentials import clean

        self._displayed, self._shown = now, True
        sys.stdout.write(f"\r{clean(line)[:_WIDTH]:<{_WIDTH}}")
        sys.stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            sys.stdout.write(f"\r{'':<{_WIDTH}}\r")
            sys.stdout.flush()
