"""Turns of kernels at a cell: one runs it, and the others wait for its outcome."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from agentnb.core.cache.scripts import EXTEND, RELEASE
from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.cache.lease import Leases
    from agentnb.core.cache.outcome import CellOutcome
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys

__all__ = ["CellTurns"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25
_SILENT = 1.0  # seconds of waiting before it is told


class CellTurns:
    """The locks of cells that run.

    Parameters
    ----------
    redis, keys
        The client of the server, and the keys of its cache.
    leases
        Renews the locks; a lock whose kernel was killed expires.
    """

    def __init__(self, redis: RedisClient, keys: Keys, leases: Leases) -> None:
        self._redis = redis
        self._keys = keys
        self._leases = leases
        self._running: set[str] = set()

    @contextmanager
    def turn(
        self,
        key: str,
        fingerprint: str,
        find: Callable[[], CellOutcome | None],
        waiting: Callable[[], object],
    ) -> Iterator[CellOutcome | None]:
        """Hold the lock of a cell within the block, or give the outcome of who held it.

        Parameters
        ----------
        key, fingerprint
            The cell: another source or other inputs are another one.
        find
            Returns the outcome that is kept, None if there is none.
        waiting
            Called once, if another kernel runs the cell for longer than a second.

        Yields
        ------
        outcome
            The outcome of another kernel that ran the cell meanwhile; None if this one has to.
        """
        name = self._keys.internal("cache-run", key, fingerprint[:16])
        token = secrets.token_hex(8)
        found = None
        if name in self._running:  # a cell that runs itself would wait for its own end
            yield None
            return
        try:
            found = self._wait(name, token, find, waiting)
        except AgentnbError:  # away or full: the cell runs, and says later that it is not kept
            yield None
            return
        except BaseException:
            self._release(name, token)
            raise
        if found is not None:
            yield found
            return
        self._running.add(name)
        try:
            with self._leases.held(token, partial(self._renew, name, token)):
                yield None
        finally:
            self._running.discard(name)
            self._release(name, token)

    def _wait(
        self,
        name: str,
        token: str,
        find: Callable[[], CellOutcome | None],
        waiting: Callable[[], object],
    ) -> CellOutcome | None:
        """Wait for the lock or for an outcome; with an outcome the lock is not held."""
        pause, began, told = _FIRST_PAUSE, time.monotonic(), False
        while not self._redis.set(name, token, nx=True, px=self._milliseconds):
            if not told and time.monotonic() - began > _SILENT:
                told = True
                waiting()
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        # It may have been stored since it was looked for.
        found = find()
        if found is not None:
            self._release(name, token)
        return found

    @property
    def _milliseconds(self) -> int:
        return max(1, int(self._leases.seconds * 1000))

    def _renew(self, name: str, token: str) -> None:
        EXTEND.run(self._redis, [name], [token, self._milliseconds])

    def _release(self, name: str, token: str) -> None:
        with suppress(AgentnbError):
            RELEASE.run(self._redis, [name], [token])
