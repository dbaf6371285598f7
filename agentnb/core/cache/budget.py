"""The bytes that the keys of a cache may take in the memory of the server."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from agentnb.core.background import run_in_thread
from agentnb.core.errors import AgentnbError
from agentnb.core.forking import new_lock
from agentnb.core.format import size as size_text

if TYPE_CHECKING:
    import logging
    from concurrent.futures import Future

    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys

__all__ = ["KeyBudget"]

_SHARE = 8
_STEP = 500
_FRESH = 1  # seconds of idleness below which a key has just been written or read


class KeyBudget:
    """Keeps the keys of a cache within a number of bytes: those idle for longest go first.

    The server itself has no limit: `maxmemory` would also refuse or remove jobs and events. Each
    process counts what it writes, and looks at all keys when that is an eighth of the limit.

    Parameters
    ----------
    redis, keys
        The server and the prefix.
    limit
        Bytes; None for no limit.
    log
        Logger of what was removed.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        *,
        limit: int | None,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._limit = limit
        self._log = log
        self._written = 0
        self._looking = new_lock()

    def wrote(self, size: int) -> Future[int] | None:
        """Count bytes that were written, and look at all keys in a thread when it is time."""
        if self._limit is None:
            return None
        self._written += size
        if self._written < self._limit // _SHARE:
            return None
        self._written = 0
        return run_in_thread(self._look, name="cache-budget")

    def _look(self) -> int:
        if not self._looking.acquire(blocking=False):
            return 0
        try:
            return self.keep()
        except AgentnbError as error:
            self._log.warning("the keys of the cache were not counted: %s", error)
            return 0
        finally:
            self._looking.release()

    def keep(self) -> int:
        """Remove keys until the others take no more than the limit; return how many went."""
        if self._limit is None:
            return 0
        found = self._all()
        total = sum(size for _, size, _ in found)
        over, removed = total - self._limit, []
        for idle, size, name in sorted(found, reverse=True):
            if over <= 0 or idle < _FRESH:
                break
            removed.append(name)
            over -= size
        for start in range(0, len(removed), _STEP):
            self._redis.unlink(*removed[start : start + _STEP])
        if removed:
            limit = size_text(self._limit)
            self._log.info("%d keys of the cache went: it keeps %s", len(removed), limit)
        return len(removed)

    def _all(self) -> list[tuple[int, int, bytes]]:
        """Return for how many seconds each key is idle, its bytes, and its name."""
        found = []
        patterns = (self._keys.cache("*"), self._keys.internal("cache-cell", "*"))
        names = itertools.chain.from_iterable(
            self._redis.scan_iter(match=pattern, count=_STEP) for pattern in patterns
        )
        while step := list(itertools.islice(names, _STEP)):
            with self._redis.pipeline(transaction=False) as pipe:
                for name in step:
                    # Neither of them counts as a use of the key.
                    pipe.object("IDLETIME", name)
                    pipe.memory_usage(name)
                answers: list[Any] = pipe.execute(raise_on_error=False)
            for name, idle, size in zip(step, answers[::2], answers[1::2], strict=True):
                if isinstance(idle, int) and isinstance(size, int):
                    found.append((idle, size, name))
        return found
