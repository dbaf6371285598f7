"""The errors of this process's loaders, for the threads that wait for them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Failures"]


class Failures:
    """Keeps an exception for as long as somebody waits for its key, and no longer.

    An exception holds on to the variables of all the functions that it passed.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._asking: dict[str, int] = {}
        self._raised: dict[str, dict[str, Exception]] = {}

    @contextmanager
    def asking(self, key: str) -> Iterator[None]:
        """Keep failures of a key within the block."""
        with self._lock:
            self._asking[key] = self._asking.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._asking[key] -= 1
                if not self._asking[key]:
                    del self._asking[key]
                    self._raised.pop(key, None)

    def add(self, key: str, token: str, error: Exception) -> None:
        """Keep the error of a key's loader."""
        with self._lock:
            if key in self._asking:
                self._raised.setdefault(key, {})[token] = error

    def get(self, key: str, token: str) -> Exception | None:
        """Return the error of a loader, or None if it runs in another process."""
        with self._lock:
            return self._raised.get(key, {}).get(token)
