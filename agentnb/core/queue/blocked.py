"""Processors of a queue that wait for the results of other jobs of the same queue."""

from __future__ import annotations

import threading
from typing import Self

__all__ = ["Blocked"]


class Blocked:
    """The number of processors that wait, as a context manager of each of them.

    Examples
    --------
    >>> blocked = Blocked()
    >>> with blocked, blocked:
    ...     blocked.count
    2
    >>> blocked.count
    0
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def __enter__(self) -> Self:
        with self._lock:
            self.count += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.count -= 1
