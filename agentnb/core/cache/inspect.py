"""Lists and previews the values of a cache, for panels, magics and Tab."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.checks import check_key, check_limit
from agentnb.core.cache.names import Names
from agentnb.core.cache.preview import ValuePreview, preview
from agentnb.core.errors import RejectedError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.redis.keys import escape
from agentnb.core.table import Column, Table
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.cache.codec import Codec
    from agentnb.core.cache.counter import HitCounter
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys
    from agentnb.core.trace import Tracer

__all__ = ["CacheInspector"]

_PREVIEWED = 120
_STEP = 500


@refuse_unknown("cache")
class CacheInspector:
    r"""Shows the keys, values and hits of a cache; nothing that it reads counts as a hit.

    Parameters
    ----------
    redis
        The client of the server.
    keys, names, codec, counter
        The parts of the cache.
    tracer
        Records a span for each table and each preview.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from agentnb.core.cache import Cache
    >>> from agentnb.core.redis import RedisClient
    >>> with tempfile.TemporaryDirectory() as home, RedisClient(home=Path(home)) as redis:
    ...     cache = Cache(redis)
    ...     cache.set("rates", {"EUR": 1.1})
    ...     cache.inspect.preview("rates").text
    '{\n  "EUR": 1.1\n}'
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        keys: Keys,
        names: Names,
        codec: Codec,
        counter: HitCounter,
        tracer: Tracer,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._names = names
        self._codec = codec
        self._counter = counter
        self._tracer = tracer

    @property
    def counts(self) -> tuple[int, int]:
        """The hits and misses of this process."""
        return self._counter.hits, self._counter.misses

    def server_counts(self) -> tuple[int, int] | None:
        """Return the hits and misses of all clients, None if the server refuses to tell."""
        stats: dict[str, Any] = {}
        with suppress(RejectedError):
            stats = self._redis.info("stats")
        if "keyspace_hits" not in stats:
            return None
        return int(stats["keyspace_hits"]), int(stats.get("keyspace_misses", 0))

    def key_of(self, key: str) -> str:
        """Return a key's name on the server."""
        return self._keys.cache(check_key(key))

    def complete(self, start: str, *, limit: int, timeout: float) -> list[str]:
        """Return keys that begin with a text, sorted.

        Parameters
        ----------
        limit
            Maximum number of keys.
        timeout
            Seconds for the whole.

        Raises
        ------
        UnavailableError
            The server does not answer in time.
        """
        names = Names(self._redis.within(timeout), self._keys)
        return sorted(names.matching(f"{escape(start)}*", limit=limit))

    def preview(self, key: str) -> ValuePreview | None:
        """Return a value as text, or None if there is no such key.

        At most 4 MB are read, and 20,000 characters or 20 rows returned.

        Raises
        ------
        UsageError
            The key holds a list, a hash or the like of another program.
        ConfigError
            The value is a frame, and the library that reads it is not installed.
        UnavailableError
            The server is away.
        """
        with Span(self._tracer, "preview", "cache", 1, {"key": key}):
            return preview(self._redis, self._codec, self._keys.cache(key), key)

    def table(self, pattern: str = "*", *, limit: int = 100) -> Table:
        """Return key, remaining seconds, bytes and the beginning of each value, sorted by key.

        Parameters
        ----------
        pattern
            As in `Cache.keys`.
        limit
            Maximum number of keys; a note says if there are more.
        """
        limit = check_limit(limit) or 0
        check_key(pattern)
        rows: list[tuple[Any, ...]] = []
        with Span(self._tracer, "list", "cache", 1, {"pattern": pattern}):
            names = sorted(self._names.matching(pattern, limit=limit + 1))
            for start in range(0, min(len(names), limit), _STEP):
                rows += self._rows(names[start : min(start + _STEP, limit)])
        more = f"the first {limit:,}; there are more" if len(names) > limit else ""
        return Table(
            ("key", Column("ttl", "duration"), Column("bytes", "size"), "value"),
            rows,
            note=more,
            empty="nothing is cached: hub.cache.set(KEY, VALUE) (%cache set KEY VALUE, or "
            "%%cache KEY over a cell)"
            if pattern == "*"
            else f"no key matches {pattern}",
        )

    def _rows(self, names: Sequence[str]) -> list[tuple[Any, ...]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                # A key of another program need not be text; it is listed all the same.
                key = self._keys.cache(name).encode("utf-8", "surrogateescape")
                pipe.pttl(key)
                pipe.strlen(key)
                # Only the beginning, so that a large value costs one line.
                pipe.getrange(key, 0, _PREVIEWED - 1)
            replies = pipe.execute(raise_on_error=False)
        rows = []
        for name, left, length, data in zip(
            names, replies[0::3], replies[1::3], replies[2::3], strict=True
        ):
            if not all(
                isinstance(reply, expected)
                for reply, expected in ((left, int), (length, int), (data, bytes))
            ):
                continue  # under bare names a key may be another program's list or hash
            if left == -2:  # noqa: PLR2004 - removed since it was listed
                continue
            pointer = self._codec.pointer(data)
            size = length if pointer is None else pointer.size
            seconds = None if left < 0 else round(left / 1000)
            rows.append((name, seconds, size, self._codec.preview(data, whole=size <= _PREVIEWED)))
        return rows
