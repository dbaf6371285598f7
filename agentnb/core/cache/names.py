"""Find and remove the keys of a cache, in small steps."""

from __future__ import annotations

from itertools import islice
from sys import maxsize
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.scripts import DROP_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys

__all__ = ["Names"]

# As many in one step as keep another client waiting for less than a millisecond.
_STEP = 500


class Names:
    """The keys of one cache.

    With a prefix they are told by it. With bare names a set lists those which a cache has
    stored, since a key of a stranger may look like any other.

    Parameters
    ----------
    redis
        The client of the server.
    keys
        Makes and recognises the keys.
    """

    def __init__(self, redis: RedisClient, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self.bare = not keys.cache("")
        self.listed = keys.internal("cache-names")
        self.aside = keys.internal("cache-aside")

    def lock(self, name: str) -> str:
        """Return the key of a loader's lock."""
        return self._keys.internal("cache-lock", name)

    def failure(self, name: str) -> str:
        """Return the key of how a loader failed."""
        return self._keys.internal("cache-fail", name)

    def copy(self, name: str) -> str:
        """Return the key of the copy for when the source fails."""
        return self._keys.internal("cache-stale", name)

    def tag(self, tag: str) -> str:
        """Return the key of a tag's names."""
        return self._keys.internal("cache-tag", tag)

    def matching(self, pattern: str, *, limit: int | None = None) -> Iterator[str]:
        """Yield the keys that match a pattern, each once."""
        found = self._bare(pattern) if self.bare else self._prefixed(pattern)
        return islice(found, None if limit is None else min(limit, maxsize))

    def _prefixed(self, pattern: str) -> Iterator[str]:
        seen: set[str] = set()  # SCAN may give a key twice
        scan = self._redis.scan_iter(self._keys.cache_pattern(pattern), count=_STEP)
        for raw in scan:
            name = self._keys.cache_name(_text(raw))
            if name is not None and name not in seen:
                seen.add(name)
                yield name

    def _bare(self, pattern: str) -> Iterator[str]:
        for some in _chunks(self._within(self.listed, pattern)):
            with self._redis.pipeline(transaction=False) as pipe:
                for name in some:
                    pipe.exists(_raw(name))
                there = pipe.execute()
            yield from (name for name, exists in zip(some, there, strict=True) if exists)

    def _within(self, listing: str, pattern: str) -> Iterator[str]:
        """Yield the names of a list that match and are not over, each once."""
        seen: set[str] = set()
        seconds, microseconds = self._redis.time()
        now = seconds * 1000 + microseconds // 1000
        for raw, until in self._redis.zscan_iter(listing, match=pattern, count=_STEP):
            name = _text(raw)
            # An expired name is no longer agentnb's: another program may have taken it.
            if until > now and name not in seen:
                seen.add(name)
                yield name

    def remove(self, names: Iterable[str]) -> int:
        """Remove keys, and with them the right of their running loaders to store."""
        removed = 0
        for some in _chunks(iter(names)):
            with self._redis.pipeline(transaction=False) as pipe:
                # The locks first: a loader must not store between the two.
                pipe.unlink(*self._beside(some))
                pipe.unlink(*(_raw(self._keys.cache(name)) for name in some))
                if self.bare:
                    pipe.zrem(self.listed, *map(_raw, some))
                removed += int(pipe.execute()[1])
        return removed

    def remove_matching(self, pattern: str) -> int:
        """Remove the keys that match a pattern, some at a time."""
        # First what has no value yet, or no longer: the locks of loaders that run, and copies.
        for some in _chunks(self._within(self.aside, pattern)):
            self._redis.unlink(*self._beside(some))
        return sum(self.remove(some) for some in _chunks(self.matching(pattern)))

    def remove_tag(self, tag: str) -> int:
        """Remove the keys of a tag, some at a time."""
        removed = 0
        starts = [self._keys.cache(""), self.lock(""), self.copy("")]
        while True:
            arguments = [_STEP, *starts, int(self.bare)]
            reply = DROP_TAG.run(self._redis, [self.tag(tag), self.listed], arguments)
            looked_at, gone = map(int, reply)
            removed += gone
            if not looked_at:
                return removed

    def _beside(self, names: Iterable[str]) -> list[bytes]:
        return [_raw(key) for name in names for key in (self.lock(name), self.copy(name))]


def _chunks(items: Iterator[Any]) -> Iterator[list[Any]]:
    while some := list(islice(items, _STEP)):
        yield some


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
