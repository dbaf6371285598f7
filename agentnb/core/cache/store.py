"""What the steps of `get_or_set` ask the server for, within the time that they may take."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.scripts import FAIL, PUT, RELEASE, RENEW, STORE, TAKE
from agentnb.core.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.cache.names import Names
    from agentnb.core.redis import RedisClient, Script
    from agentnb.core.redis.keys import Keys

__all__ = ["Found", "State", "Store", "Wanted"]

# While the server is away a loader's value is late by no more than this, in seconds.
PATIENCE = 1.0
_SHARED_MS = 2000
_LONGEST_REPORT = 2000
# A tag remembers a key that is being loaded for at least this long.
_TAG_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller of `get_or_set` wants; see there."""

    key: str
    ttl: float
    kind: Any
    tags: tuple[str, ...]
    jitter: float
    early: float
    stale: float
    local: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a key found: its data, and whether somebody should load it again."""

    data: bytes | None
    due: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """How the loading of a key stands: is it ours, its data, who loads, how that failed."""

    mine: bool
    data: bytes | None
    holder: str | None
    failure: str | None


class Store:
    """The server, as the cache uses it.

    Parameters
    ----------
    redis
        Its client.
    keys, names
        Make the keys.
    lock_seconds
        How long a loader's lock lives without being renewed.
    """

    def __init__(
        self, redis: RedisClient, keys: Keys, names: Names, *, lock_seconds: float
    ) -> None:
        self._redis = redis
        self._hasty = redis.within(PATIENCE)
        self._keys = keys
        self._names = names
        self._lock_ms = max(1, int(lock_seconds * 1000))

    def put(self, key: str, data: bytes, ms: int, tags: Iterable[str]) -> None:
        """Store a value."""
        sets = [self._names.tag(tag) for tag in tags]
        name = self._keys.cache(key)
        if not sets and not self._names.bare:
            # Not `set`, which sorts out twenty options first: a fifth of the time.
            self._redis.execute_command("SET", name, data, "PX", ms)
            return
        keys = [name, self._names.listed, *sets]
        PUT.run(self._redis, keys, [data, ms, key, int(self._names.bare)])

    def look(self, wanted: Wanted) -> Found:
        """Return a key's data and whether somebody should load it again already."""
        name = self._keys.cache(wanted.key)
        if not wanted.early:
            return Found(self._hasty.get(name))  # type: ignore[arg-type]  # it is not an awaitable
        with self._hasty.pipeline(transaction=False) as pipe:
            data, left = pipe.get(name).pttl(name).execute()
        return Found(data, due=data is not None and is_due(max(left, 0) / 1000, wanted.early))

    def take(self, wanted: Wanted, token: str, awaited: str, *, refresh: bool) -> State:
        """Take the lock of a key's loader, unless there is a reason not to.

        Parameters
        ----------
        awaited
            The loader whose failure would be ours, too.
        refresh
            Whether there is a value already, which is to be loaded again.
        """
        names, key = self._names, wanted.key
        keys = [self._keys.cache(key), names.lock(key), names.failure(key), names.aside]
        keys += map(names.tag, wanted.tags)
        tag_ms = max(_TAG_MS, int(wanted.ttl * 1000))
        arguments = [token, self._lock_ms, key, awaited, int(refresh), tag_ms]
        mine, data, holder, failure = self._run(TAKE, keys, arguments)
        return State(
            bool(mine),
            data,
            holder.decode() if holder else None,
            failure[len(token) :].decode("utf-8", "replace") if failure else None,
        )

    def renew(self, key: str, token: str) -> bool:
        """Let the lock live on; return whether it is still this loader's."""
        keys = [self._names.lock(key), self._names.aside]
        return bool(self._run(RENEW, keys, [token, self._lock_ms, key]))

    def release(self, key: str, token: str) -> bool:
        """Release the lock; return whether it was still this loader's."""
        return bool(self._run(RELEASE, [self._names.lock(key)], [token]))

    def save(self, wanted: Wanted, token: str, data: bytes, before: bytes | None) -> bool:
        """Store what was loaded, unless the key was invalidated or set meanwhile."""
        names, key = self._names, wanted.key
        spread = 1 - wanted.jitter * random.random()  # noqa: S311 - a lot is drawn
        ms = max(1, int(wanted.ttl * spread * 1000))
        stale = int((wanted.ttl + wanted.stale) * 1000) if wanted.stale else 0
        keys = [self._keys.cache(key), names.lock(key), names.failure(key), names.copy(key)]
        keys += [names.aside, names.listed, *map(names.tag, wanted.tags)]
        # SHA1 is what the server has; here it tells two values apart, and keeps nothing safe.
        was = "" if before is None else hashlib.sha1(before, usedforsecurity=False).hexdigest()
        arguments = [token, data, ms, stale, key, int(names.bare), was]
        return bool(self._run(STORE, keys, arguments))

    def fail(self, key: str, token: str, error: Exception) -> bool:
        """Tell those who wait that the loader failed; return whether it held the lock."""
        keys = [self._names.lock(key), self._names.failure(key)]
        report = redact(f"{type(error).__name__}: {error}")[:_LONGEST_REPORT]
        data = (token + report).encode("utf-8", "replace")
        return bool(self._run(FAIL, keys, [token, data, _SHARED_MS]))

    def copy(self, key: str) -> bytes | None:
        """Return the value of before, where one is kept."""
        return self._hasty.get(self._names.copy(key))  # type: ignore[return-value]  # it is not an awaitable

    def _run(self, script: Script, keys: list[str], arguments: list[Any]) -> Any:
        return script.run(self._hasty, keys, arguments)


def is_due(left: float, early: float) -> bool:
    """Draw whether a value is loaded again, ever likelier towards its end.

    >>> is_due(5.0, 1.0), is_due(0.0, 1.0)
    (False, True)
    """
    return left < early * (1 - random.random())  # noqa: S311 - a lot is drawn
