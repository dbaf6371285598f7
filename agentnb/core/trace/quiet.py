"""Keep the log lines of other libraries that agentnb's calls make out of the user's log."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["quiet"]

_inside: ContextVar[bool] = ContextVar("agentnb_quiet", default=False)


def _outside(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not _inside.get()


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Drop what these loggers say below WARNING in the block; the user's own calls are logged.

    Parameters
    ----------
    *loggers
        Names; a logger's children have to be named as well.

    Examples
    --------
    >>> with quiet("alembic.runtime.migration"):
    ...     logging.getLogger("alembic.runtime.migration").info("not logged")
    """
    for name in loggers:
        logging.getLogger(name).addFilter(_outside)  # the same filter is added once
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)
