"""Notices of a database, shown under the cell as they arrive."""

from __future__ import annotations

import sys

__all__ = ["Shown"]

_LINES = 100


class Shown:
    """Prints each notice to stderr, the first hundred of a cell."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, text: str) -> None:
        """Show one."""
        self._count += 1
        if self._count <= _LINES:
            print(text, file=sys.stderr)  # noqa: T201 - as psql does
        elif self._count == _LINES + 1:
            print("more notices are in the result: x << SQL, then x.notices", file=sys.stderr)  # noqa: T201
