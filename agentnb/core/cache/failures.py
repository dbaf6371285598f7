"""What loaders of this process raised, for the threads that wait for them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Failures"]


class Failures:
    """Keeps an exception for as long as somebody waits for its key, and no longer.

    An exception holds on to the variables of all the functions that it passed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking: dict[str, int] = {}
        self._raised: dict[str, dict[str, Exception]] = {}

    @contextmanager
    def asking(self, key: str) -> Iterator[None]:
        """Wait for a key, or load it, within the block."""
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
        """Keep what the loader of a key raised."""
        with self._lock:
            if key in self._asking:
                self._raised.setdefault(key, {})[token] = error

    def get(self, key: str, token: str) -> Exception | None:
        """Return what a loader raised, or None if it was not one of this process."""
        with self._lock:
            return self._raised.get(key, {}).get(token)
