"""Copies of values in this process, invalidated by the server."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.cache.tracking import Tracking
from agentnb.core.forking import ForkGuard, new_lock

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

    from agentnb.core.redis import RedisClient

__all__ = ["Copies", "Copy"]

_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Copy:
    """The bytes of a value, and when they end, of the monotonic clock."""

    data: bytes
    until: float


class Copies:
    """The values that were asked for last, by their keys on the server.

    A change by anybody is heard on a connection of its own; while that is not open, or
    something on it has not been read yet, there are no copies. It opens with the first
    value that is fetched, and closes when nobody asks for a while.

    Parameters
    ----------
    redis
        The client of the server.
    prefix
        The start of the keys.
    log
        Logger of outages in which no copies are kept.
    entries, size
        Maximum number of copies and of their bytes; the least recently used are dropped.
    idle
        Seconds without a lookup after which the connection closes.
    """

    def __init__(
        self,
        redis: RedisClient,
        prefix: str,
        *,
        log: logging.LoggerAdapter[logging.Logger],
        entries: int = 10_000,
        size: int = 64 * _MB,
        idle: float = 300.0,
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._log = log
        self.entries = entries
        self.size = size
        self.idle = idle
        self._begin()

    def _begin(self) -> None:
        self._fork = ForkGuard()
        self._lock = new_lock()
        self._copies: OrderedDict[str, Copy] = OrderedDict()
        self._bytes = 0
        self._fetching: dict[str, object] = {}
        self._tracking: Tracking | None = None
        self._asked = 0.0
        self._again = 0.0
        self._failures = 0

    def __len__(self) -> int:
        return len(self._copies)

    @property
    def on(self) -> bool:
        """Return whether changes are heard, so that copies are kept."""
        tracking = self._tracking
        return tracking is not None and tracking.on

    def get(self, key: str) -> Copy | None:
        """Return the copy of a value, or None if the server has to be asked."""
        self._check_pid()
        with self._lock:
            now = self._asked = monotonic()
            copy = self._copies.get(key)
            if copy is None or self._tracking is None or not self._tracking.hears_all():
                return None
            if now >= copy.until:
                self._forget(key)
                return None
            self._copies.move_to_end(key)
            return copy

    def fetch(self, key: str, redis: RedisClient | None = None) -> Copy | None:
        """Ask the server for a value, and keep a copy.

        Parameters
        ----------
        redis
            The client to ask with; default: the one given at first.

        Raises
        ------
        UnavailableError
            The server is away.
        """
        self._check_pid()
        mark = object()
        with self._lock:
            if self._listening():
                self._fetching[key] = mark
        asked = monotonic()
        try:
            with (redis or self._redis).pipeline(transaction=False) as pipe:
                data, left = pipe.get(key).pttl(key).execute()
        except BaseException:
            with self._lock:
                if self._fetching.get(key) is mark:
                    del self._fetching[key]
            raise
        copy = None
        if data is not None and left != -2:  # noqa: PLR2004 - Redis' word for "no such key"
            copy = Copy(data, float("inf") if left < 0 else asked + left / 1000)
        with self._lock:
            # A change that was heard meanwhile has taken the mark away.
            if self._fetching.get(key) is mark:
                del self._fetching[key]
                if copy is not None:
                    self._keep(key, copy)
        return copy

    def drop(self, keys: Iterable[str] | None) -> None:
        """Forget some keys, None for all: they have changed."""
        self._check_pid()
        if self._tracking is None:
            return  # none were ever kept, nor is one that was asked for before
        with self._lock:
            self._changed(None if keys is None else list(keys))

    def close(self) -> None:
        """Forget all and end the connection; the next fetch opens another."""
        self._check_pid()
        tracking, self._tracking = self._tracking, None
        if tracking is not None:
            tracking.close()
        with self._lock:
            self._changed(None)

    def _check_pid(self) -> None:
        if self._fork.forked:
            self._begin()  # a forked child hears nothing on its parent's connection

    # With the lock held.

    def _listening(self) -> bool:
        """Return whether changes are heard; if not, see to it that they will be."""
        tracking = self._tracking
        if tracking is not None and tracking.on:
            self._failures = 0
            return True
        now = monotonic()
        if tracking is None or (not tracking.thread.alive and now >= self._again):
            self._failures += 1
            self._again = now + min(self._failures * _PAUSE, _LONGEST_PAUSE)
            self._asked = now
            self._tracking = Tracking(
                self._redis,
                self._prefix,
                lock=self._lock,
                changed=self._changed,
                idle=lambda: monotonic() - self._asked >= self.idle,
                log=self._log,
            )
        return False

    def _changed(self, keys: list[str] | None) -> None:
        if keys is None:
            self._copies.clear()
            self._fetching.clear()
            self._bytes = 0
            return
        for key in keys:
            self._fetching.pop(key, None)
            self._forget(key)

    def _forget(self, key: str) -> None:
        copy = self._copies.pop(key, None)
        if copy is not None:
            self._bytes -= len(key) + len(copy.data)

    def _keep(self, key: str, copy: Copy) -> None:
        size = len(key) + len(copy.data)
        if size > self.size // 8:
            return  # one large value would take the place of all others
        self._forget(key)
        self._copies[key] = copy
        self._bytes += size
        while len(self._copies) > self.entries or self._bytes > self.size:
            self._forget(next(iter(self._copies)))
