"""Values by key, each on its own: get, set, delete, find, invalidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.cache.checks import check_key, check_limit, check_tags, milliseconds
from agentnb.core.cache.codec import Codec
from agentnb.core.cache.count import Count
from agentnb.core.cache.local import Copies
from agentnb.core.cache.names import Names
from agentnb.core.cache.store import Store
from agentnb.core.codec.errors import ClassMissingError
from agentnb.core.redis.keys import Keys
from agentnb.core.table import Table

if TYPE_CHECKING:
    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime

__all__ = ["Values"]


DEFAULT_TTL = 3600.0


class Values:
    """The part of a `Cache` that loads nothing; parameters as there."""

    def __init__(
        self,
        redis: RedisClient,
        *,
        prefix: str = "agentnb",
        default_ttl: float = DEFAULT_TTL,
        lock_seconds: float = 5.0,
        runtime: Runtime | None = None,
    ) -> None:
        milliseconds(lock_seconds, "lock_seconds")
        milliseconds(default_ttl, "default_ttl")
        self.redis = redis
        self.default_ttl = default_ttl
        self.codec = Codec(plain=not prefix)
        self.count = Count()
        self.keys_of = Keys(prefix)
        self.names = Names(redis, self.keys_of)
        self.store = Store(redis, self.keys_of, self.names, lock_seconds=lock_seconds)
        self.log = (runtime or redis.runtime).log("cache")
        self.copies = Copies(redis, self.keys_of.cache(""), log=self.log)

    def get(
        self,
        key: str,
        default: Any = None,
        *,
        type: Any = None,  # noqa: A002 - the word of the design
        local: bool = False,
    ) -> Any:
        """Return the value of a key, or the default if there is none.

        Parameters
        ----------
        key
            Any text.
        default
            Returned if there is no value.
        type
            What to decode to: a dataclass, a msgspec Struct, a TypedDict, a pydantic
            model, ``tuple[int, str]``, ``datetime``, ...
        local
            Take it from a copy in this process, where there is one; the server says when
            it has changed.

        Raises
        ------
        UsageError
            What is stored is not of that type.
        UnavailableError
            The server is away.

        Notes
        -----
        A value of a class that this process has not, or has with other fields, counts as
        missing; the log says so.
        """
        name = self.keys_of.cache(check_key(key))
        if local:
            copy = self.copies.get(name) or self.copies.fetch(name)
            data: Any = None if copy is None else copy.data
        else:
            data = self.redis.get(name)
        if data is None:
            self.count.miss()
            return default
        try:
            value = self.codec.decode(data, type)
        except ClassMissingError as error:
            self.log.warning("%r counts as missing: %s", key, error)
            self.count.miss()
            return default
        self.count.hit()
        return value

    def set(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        tags: tuple[str, ...] | list[str] = (),
        type: Any = None,  # noqa: A002 - as in get
    ) -> None:
        """Store a value.

        Parameters
        ----------
        key
            Any text.
        value
            Plain values, dates, numbers of any kind, arrays and frames, tuples and sets,
            enums, dataclasses and models, and whatever is nested of them.
        ttl
            Seconds that it is kept; default: ``default_ttl``.
        tags
            Names under which `invalidate_tags` finds it.
        type
            Store the JSON of that type, for `get` with the same ``type`` and for other
            programs; default: JSON where it is exact, else a form that holds the types.

        Raises
        ------
        UsageError
            The value would not come back equal, or is too large.
        RejectedError
            The server is full or read-only.
        UnavailableError
            The server is away.
        """
        name = self.keys_of.cache(check_key(key))
        ms = milliseconds(self.default_ttl if ttl is None else ttl)
        data = self.codec.encode(value, type)
        try:
            self.store.put(key, data, ms, check_tags(tags))
        finally:
            self.copies.drop([name])

    def delete(self, *keys: str) -> int:
        """Remove keys, and return how many there were."""
        names = [self.keys_of.cache(check_key(key)) for key in keys]
        try:
            return self.names.remove(keys)
        finally:
            self.copies.drop(names)

    def ttl(self, key: str) -> float | None:
        """Return the seconds that a value has left, None if there is no such key."""
        left = int(self.redis.pttl(self.keys_of.cache(check_key(key))))
        if left == -2:  # noqa: PLR2004 - Redis' word for "no such key"
            return None
        return float("inf") if left < 0 else left / 1000

    def keys(self, pattern: str = "*", *, limit: int | None = None) -> list[str]:
        """Return the keys that match a pattern (``*``, ``?``, ``[ab]``), sorted.

        Parameters
        ----------
        pattern
            As Redis has them; a backslash before a character means that very character.
        limit
            Stop after so many.
        """
        return sorted(self.names.matching(check_key(pattern), limit=check_limit(limit)))

    def invalidate(self, pattern: str) -> int:
        """Remove the keys that match a pattern, and return how many there were.

        Nobody is held up: keys are found and removed in small steps. What is being loaded
        meanwhile is not stored. With an empty prefix only keys that a cache of agentnb has
        stored are removed, never a stranger's.
        """
        try:
            removed = self.names.remove_matching(check_key(pattern))
        finally:
            self.copies.drop(None)
        self.log.debug("invalidated %d keys by %r", removed, pattern)
        return removed

    def invalidate_tags(self, *tags: str) -> int:
        """Remove the keys that were stored with any of these tags, and return how many."""
        try:
            removed = sum(self.names.remove_tag(tag) for tag in check_tags(tags))
        finally:
            self.copies.drop(None)
        self.log.debug("invalidated %d keys by tags %s", removed, ", ".join(tags))
        return removed

    def stats(self) -> Table:
        """Return hits and misses of this process, and the keys there are."""
        keys = sum(1 for _ in self.names.matching("*"))
        rows = [(self.count.hits, self.count.misses, round(self.count.ratio, 3), keys)]
        return Table(("hits", "misses", "hit_ratio", "keys"), rows)

    def close(self) -> None:
        """Stop keeping copies. The client is its owner's to close."""
        self.copies.close()
