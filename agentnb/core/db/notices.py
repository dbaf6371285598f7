"""Notices of a database, such as those of PostgreSQL's RAISE NOTICE, while a statement runs."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Notices", "notified", "notify"]

KEPT = 1_000
"""Notices that one result keeps."""

# Drivers report notices on the thread that runs the statement.
_LISTENERS: ContextVar[tuple[Callable[[str], object], ...]] = ContextVar(
    "agentnb_db_notices", default=()
)


@contextmanager
def notified(listener: Callable[[str], object]) -> Iterator[None]:
    """Call a function with each notice that arrives while the block runs.

    Parameters
    ----------
    listener
        Takes the text, such as ``"NOTICE: relation exists, skipping"``.
    """
    token = _LISTENERS.set((*_LISTENERS.get(), listener))
    try:
        yield
    finally:
        _LISTENERS.reset(token)


def notify(text: str) -> None:
    """Pass a notice to those who listen."""
    for listener in _LISTENERS.get():
        listener(text)


class Notices:
    """Collects notices up to a number, and counts the others.

    >>> notices = Notices(kept=1)
    >>> for text in ("NOTICE: a", "NOTICE: b", "NOTICE: c"):
    ...     notices.add(text)
    >>> notices.all()
    ('NOTICE: a', '2 more notices, which were not kept')
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._texts: list[str] = []
        self._more = 0

    def add(self, text: str) -> None:
        """Take one more."""
        if len(self._texts) < self._kept:
            self._texts.append(text)
        else:
            self._more += 1

    def all(self) -> tuple[str, ...]:
        """Return them, and a line about those that were not kept."""
        more = (f"{self._more:,} more notices, which were not kept",) if self._more else ()
        return (*self._texts, *more)
