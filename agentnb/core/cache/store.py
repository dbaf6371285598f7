"""The cache's calls of the server, each with a short timeout."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.cache.scripts import FAIL, PUT, RELEASE, RENEW, STORE, TAKE
from agentnb.core.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.cache.names import Names
    from agentnb.core.redis import RedisClient, Script
    from agentnb.core.redis.keys import Keys
    from agentnb.core.trace.spans import Span

__all__ = ["LoadRequest", "LockState", "Lookup", "Store"]

# While the server is away, a loader's value is delayed by no more than this, in seconds.
_TIMEOUT = 1.0
_SHARED_MS = 2000
_LONGEST_REPORT = 2000
# A tag remembers a key that is being loaded for at least this long.
_TAG_MS = 3_600_000


class LoadRequest(NamedTuple):
    """The arguments of one call of `Cache.get_or_set`."""

    key: str
    ttl: float
    kind: Any
    tags: tuple[str, ...]
    jitter: float
    early: float
    stale: float
    local: bool
    span: Span | None = None

    def note(self, *, hit: bool) -> None:
        """Note in the span of the call whether the value was there."""
        if self.span is not None:
            self.span.note(hit=hit)


class Lookup(NamedTuple):
    """The result of looking a key up: its data, and whether it is due to be loaded again."""

    data: bytes | None
    due: bool = False


@dataclass(frozen=True, slots=True)
class LockState:
    """The lock of a key: acquired or not, the key's data, the holder, and the last failure."""

    acquired: bool
    data: bytes | None
    holder: str | None
    failure: str | None


class Store:
    """The calls that a cache makes to its server.

    Parameters
    ----------
    redis
        The client of the server.
    keys, names
        Make the keys.
    lock_seconds
        Seconds until a loader's lock expires unless it is renewed.
    wrote
        Called with the bytes of each value that is stored.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        names: Names,
        *,
        lock_seconds: float,
        wrote: Callable[[int], object],
    ) -> None:
        self._redis = redis
        self.client = redis.within(_TIMEOUT)
        self._keys = keys
        self._names = names
        self._lock_ms = max(1, int(lock_seconds * 1000))
        self._wrote = wrote

    def key_of(self, key: str) -> str:
        """Return the name of a key on the server."""
        return self._keys.cache(key)

    def put(self, key: str, data: bytes, ms: int, tags: Iterable[str]) -> None:
        """Store a value."""
        sets = [self._names.tag(tag) for tag in tags]
        name = self._keys.cache(key)
        if not sets and not self._names.bare:
            # Not `set`, which sorts out twenty options first: a fifth of the time.
            self._redis.execute_command("SET", name, data, "PX", ms)
        else:
            keys = [name, self._names.listed, *sets]
            PUT.run(self._redis, keys, [data, ms, key, int(self._names.bare)])
        self._wrote(len(data))

    def lookup(self, request: LoadRequest) -> Lookup:
        """Return a key's data, and whether it is due to be loaded again."""
        name = self._keys.cache(request.key)
        if not request.early:
            return Lookup(self.client.get(name))  # type: ignore[arg-type]  # it is not an awaitable
        with self.client.pipeline(transaction=False) as pipe:
            data, left = pipe.get(name).pttl(name).execute()
        return Lookup(data, due=data is not None and is_due(max(left, 0) / 1000, request.early))

    def acquire(
        self, request: LoadRequest, token: str, awaited: str, *, refresh: bool
    ) -> LockState:
        """Acquire the lock of a key's loader, unless it is held or there is a value or a failure.

        Parameters
        ----------
        awaited
            The loader whose failure this call shares.
        refresh
            Acquire the lock even if there is a value.
        """
        names, key = self._names, request.key
        keys = [self._keys.cache(key), names.lock(key), names.failure(key), names.aside]
        keys += map(names.tag, request.tags)
        tag_ms = max(_TAG_MS, int(request.ttl * 1000))
        arguments = [token, self._lock_ms, key, awaited, int(refresh), tag_ms]
        acquired, data, holder, failure = self._run(TAKE, keys, arguments)
        return LockState(
            bool(acquired),
            data,
            holder.decode() if holder else None,
            failure[len(token) :].decode("utf-8", "replace") if failure else None,
        )

    def renew(self, key: str, token: str) -> bool:
        """Renew the lock; return whether it is still this loader's."""
        keys = [self._names.lock(key), self._names.aside]
        return bool(self._run(RENEW, keys, [token, self._lock_ms, key]))

    def release(self, key: str, token: str) -> bool:
        """Release the lock; return whether it was still this loader's."""
        return bool(self._run(RELEASE, [self._names.lock(key)], [token]))

    def save(self, request: LoadRequest, token: str, data: bytes, before: bytes | None) -> bool:
        """Store a loaded value, unless the key was invalidated or set meanwhile."""
        names, key = self._names, request.key
        spread = 1 - request.jitter * random.random()  # noqa: S311 - jitter, not cryptography
        ms = max(1, int(request.ttl * spread * 1000))
        stale = int((request.ttl + request.stale) * 1000) if request.stale else 0
        keys = [self._keys.cache(key), names.lock(key), names.failure(key), names.copy(key)]
        keys += [names.aside, names.listed, *map(names.tag, request.tags)]
        # Redis has SHA1 only; it tells two values apart here and protects nothing.
        was = "" if before is None else hashlib.sha1(before, usedforsecurity=False).hexdigest()
        arguments = [token, data, ms, stale, key, int(names.bare), was]
        self._wrote(len(data))
        return bool(self._run(STORE, keys, arguments))

    def fail(self, key: str, token: str, error: Exception) -> bool:
        """Share the loader's failure with waiting calls; return whether it held the lock."""
        keys = [self._names.lock(key), self._names.failure(key)]
        report = redact(f"{type(error).__name__}: {error}")[:_LONGEST_REPORT]
        data = (token + report).encode("utf-8", "replace")
        return bool(self._run(FAIL, keys, [token, data, _SHARED_MS]))

    def stale_copy(self, key: str) -> bytes | None:
        """Return the copy that is kept for when the loader fails, None if there is none."""
        return self.client.get(self._names.copy(key))  # type: ignore[return-value]  # it is not an awaitable

    def _run(self, script: Script, keys: list[str], arguments: list[Any]) -> Any:
        return script.run(self.client, keys, arguments)


def is_due(left: float, early: float) -> bool:
    """Draw whether a value is loaded again, with growing probability towards its expiry.

    >>> is_due(5.0, 1.0), is_due(0.0, 1.0)
    (False, True)
    """
    return left < early * (1 - random.random())  # noqa: S311 - jitter, not cryptography
