"""The cache: values by key, loaded once, kept for a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from agentnb.core.cache.budget import KeyBudget
from agentnb.core.cache.cells import CellCache
from agentnb.core.cache.checks import (
    check_key,
    check_limit,
    check_tags,
    load_request,
    milliseconds,
)
from agentnb.core.cache.codec import Codec
from agentnb.core.cache.counter import HitCounter
from agentnb.core.cache.decorating import decorate
from agentnb.core.cache.files import ValueFiles
from agentnb.core.cache.flow import arun, get_or_set_flow, run
from agentnb.core.cache.inspect import CacheInspector
from agentnb.core.cache.loader import Loader
from agentnb.core.cache.local import Copies
from agentnb.core.cache.names import Names
from agentnb.core.cache.store import Store
from agentnb.core.callthreads import CallThreads
from agentnb.core.codec.errors import ClassMissingError
from agentnb.core.keywords import known_keywords, refuse_unknown, unknown_keyword
from agentnb.core.loop import LoopThread
from agentnb.core.redis.keys import Keys
from agentnb.core.table import Table
from agentnb.core.tape.forms import VALUE
from agentnb.core.tape.methods import on_tapes
from agentnb.core.trace.spans import Span
from agentnb.core.twins import await_method, twin

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from typing_extensions import TypeForm

    from agentnb.core.cache.decorating import CachedDecorator, LoadOptions
    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime
    from agentnb.core.tape.hook import Form

__all__ = ["Cache"]

D = TypeVar("D")
T = TypeVar("T")

DEFAULT_TTL = 3600.0
WAIT_SECONDS = 300.0
_MISSING: Any = object()
_IN_MEMORY = 4  # the part of the bytes that is the server's memory
_CALLS = 8  # awaited calls that run at once


def _value(_: Cache) -> Form:
    return VALUE


_TAPED = (
    *("get", "set", "delete", "ttl", "keys", "invalidate", "invalidate_tags"),
    *("get_or_set", "aget_or_set"),
)


@on_tapes("cache", "_redactor", dict.fromkeys(_TAPED, _value))
@refuse_unknown("cache")
class Cache:
    """Values by key, on a Redis or Valkey that any number of processes share.

    A value comes back equal and of the same type, or storing it is an error. None is a value.
    Thread-safe.

    Parameters
    ----------
    redis
        The client of the server.
    prefix
        Separates those who share a server; with an empty one keys are bare names and
        values the plain form that other programs read and write.
    default_ttl
        Seconds that a value is kept unless told otherwise: an hour.
    lock_seconds
        Seconds after which another caller replaces a loader whose process has died.
    wait_seconds
        Seconds that a call waits for another call's loader: five minutes.
    home
        The folder of agentnb's own files; None to keep none.
    max_bytes
        With the embedded server: bytes that values of 1 MB and more may take together, which
        are files of the home, and a quarter of it for the others, in the server's memory. With
        a shared server: bytes of all values, in its memory. Values that were not used for
        longest go first. None for no limit, and no files.
    runtime
        Tracer, redactor and logs; default: those of `redis`.

    Attributes
    ----------
    inspect
        Lists and previews values without counting hits, for panels and magics.
    cells
        The outcomes of notebook cells that ran under ``%%cache``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from agentnb.core.redis import RedisClient
    >>> with tempfile.TemporaryDirectory() as home, RedisClient(home=Path(home)) as redis:
    ...     cache = Cache(redis)
    ...     cache.set("rates", {"EUR": 1.1}, ttl=60)
    ...     cache.get("rates"), cache.get_or_set("rates", lambda: "not called")
    ({'EUR': 1.1}, {'EUR': 1.1})
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        prefix: str = "agentnb",
        default_ttl: float = DEFAULT_TTL,
        lock_seconds: float = 5.0,
        wait_seconds: float = WAIT_SECONDS,
        home: Path | None = None,
        max_bytes: int | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        milliseconds(lock_seconds, "lock_seconds")
        milliseconds(default_ttl, "default_ttl")
        milliseconds(wait_seconds, "wait_seconds")
        self.default_ttl = default_ttl
        runtime = runtime or redis.runtime
        self._tracer = runtime.tracer
        self._redactor = runtime.redactor
        # Each public method has one span; the commands below it are part of it.
        self._redis = redis = redis.untraced
        self._log = runtime.log("cache")
        files = None
        if home is not None and max_bytes is not None and redis.embedded and prefix:
            files = ValueFiles(home / "cache", limit=max_bytes)
        self._codec = Codec(plain=not prefix, files=files)
        self._counter = HitCounter()
        self._keys = Keys(prefix)
        self._names = Names(redis, self._keys)
        limit = max_bytes if files is None or max_bytes is None else max_bytes // _IN_MEMORY
        # Bare names are other programs', too.
        self._budget = KeyBudget(redis, self._keys, limit=limit if prefix else None, log=self._log)
        self._store = Store(
            redis, self._keys, self._names, lock_seconds=lock_seconds, wrote=self._budget.wrote
        )
        self._copies = Copies(redis, self._keys.cache(""), log=self._log)
        self._loader = Loader(
            store=self._store,
            copies=self._copies,
            codec=self._codec,
            counter=self._counter,
            lock_seconds=lock_seconds,
            wait_seconds=wait_seconds,
            log=self._log,
        )
        self._loop = LoopThread()
        self._call_threads = CallThreads("cache", _CALLS)
        self.inspect = CacheInspector(
            redis,
            keys=self._keys,
            names=self._names,
            codec=self._codec,
            counter=self._counter,
            tracer=self._tracer,
        )
        self.cells = CellCache(
            redis,
            keys=self._keys,
            leases=self._loader.leases,
            codec=self._codec,
            counter=self._counter,
            set_value=self._set,
            default_ttl=default_ttl,
            tracer=self._tracer,
            log=self._log,
            home=home,
            wrote=self._budget.wrote,
        )

    @overload
    def get(self, key: str, *, type: TypeForm[T], local: bool = ...) -> T | None: ...
    @overload
    def get(self, key: str, default: D, *, type: TypeForm[T], local: bool = ...) -> T | D: ...
    @overload
    def get(self, key: str, default: Any = ..., *, type: None = ..., local: bool = ...) -> Any: ...
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
            The type to decode to: a dataclass, a msgspec Struct, a TypedDict, a pydantic
            model, ``tuple[int, str]``, ``datetime``, ...
        local
            Return a copy that this process keeps, where there is one. The server tells the
            process when a key has changed.

        Raises
        ------
        UsageError
            The stored value is not of that type.
        UnavailableError
            The server is away.

        Notes
        -----
        A value whose class this process does not have, or has with other fields, counts as
        missing and is logged.
        """
        name = self._keys.cache(check_key(key))
        with Span(self._tracer, "get", "cache", 1, {"key": key}) as span:
            if local:
                copy = self._copies.get(name) or self._copies.fetch(name)
                data: Any = None if copy is None else copy.data
            else:
                data = self._redis.get(name)
            found = self._decoded(key, data, type)
            span.note(hit=found is not _MISSING)
        return default if found is _MISSING else found

    def _decoded(self, key: str, data: Any, kind: Any) -> Any:
        """Return the value of data, or `_MISSING`; count which of the two it is."""
        if data is None:
            self._counter.miss()
            return _MISSING
        try:
            value = self._codec.decode(data, kind)
        except ClassMissingError as error:
            self._log.warning("%r counts as missing: %s", key, error)
            self._counter.miss()
            return _MISSING
        self._counter.hit()
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
            Plain values, dates, numbers, arrays and frames, tuples and sets, enums,
            dataclasses and models, also nested.
        ttl
            Seconds that it is kept; default: ``default_ttl``.
        tags
            Names under which `invalidate_tags` finds it.
        type
            Store the JSON of that type, for `get` with the same ``type`` and for other
            programs; default: JSON where it is exact, else a tagged form that keeps types.

        Raises
        ------
        UsageError
            The value would not come back equal, or is too large.
        RejectedError
            The server is full or read-only.
        UnavailableError
            The server is away.
        """
        with Span(self._tracer, "set", "cache", 1, {"key": key}):
            self._set(key, value, ttl, tags=tags, type=type)

    def _set(
        self,
        key: str,
        value: Any,
        ttl: float | None,
        *,
        tags: tuple[str, ...] | list[str],
        type: Any = None,  # noqa: A002 - as in get
    ) -> None:
        name = self._keys.cache(check_key(key))
        ms = milliseconds(self.default_ttl if ttl is None else ttl)
        data = self._codec.encode(value, type)
        try:
            self._store.put(key, data, ms, check_tags(tags))
        finally:
            self._copies.drop([name])

    def delete(self, *keys: str) -> int:
        """Remove keys, and return the number removed."""
        names = [self._keys.cache(check_key(key)) for key in keys]
        told: dict[str, object] = {"key": keys[0]} if len(keys) == 1 else {"keys": len(keys)}
        with Span(self._tracer, "delete", "cache", 1, told):
            try:
                return self._names.remove(keys)
            finally:
                self._copies.drop(names)

    def ttl(self, key: str) -> float | None:
        """Return a key's remaining seconds, infinity if it never expires, None if it is missing."""
        name = self._keys.cache(check_key(key))
        with Span(self._tracer, "ttl", "cache", 1, {"key": key}):
            left = int(self._redis.pttl(name))
        if left == -2:  # noqa: PLR2004 - the server's code of a missing key
            return None
        return float("inf") if left < 0 else left / 1000

    def keys(self, pattern: str = "*", *, limit: int | None = None) -> list[str]:
        """Return the keys that match a pattern (``*``, ``?``, ``[ab]``), sorted.

        Parameters
        ----------
        pattern
            A pattern of Redis; a backslash makes the next character literal.
        limit
            Maximum number of keys.
        """
        check_key(pattern)
        check_limit(limit)
        with Span(self._tracer, "keys", "cache", 1, {"pattern": pattern}):
            return sorted(self._names.matching(pattern, limit=limit))

    def invalidate(self, pattern: str) -> int:
        """Remove the keys that match a pattern, and return the number removed.

        Keys are found and removed in small steps, so that no client waits long. A value that a
        loader is loading meanwhile is not stored. With an empty prefix only keys that a cache of
        agentnb has stored are removed.
        """
        check_key(pattern)
        with Span(self._tracer, "invalidate", "cache", 1, {"pattern": pattern}):
            try:
                removed = self._names.remove_matching(pattern)
            finally:
                self._copies.drop(None)
        self._log.debug("invalidated %d keys by %r", removed, pattern)
        return removed

    def invalidate_tags(self, *tags: str) -> int:
        """Remove the keys that were stored with any of these tags, and return the number."""
        checked = check_tags(tags)
        with Span(self._tracer, "invalidate_tags", "cache", 1, {"tags": checked}):
            try:
                removed = sum(self._names.remove_tag(tag) for tag in checked)
            finally:
                self._copies.drop(None)
        self._log.debug("invalidated %d keys by tags %s", removed, ", ".join(tags))
        return removed

    @overload
    def get_or_set(
        self,
        key: str,
        loader: Callable[[], object],
        ttl: float | None = ...,
        *,
        type: TypeForm[T],
        tags: tuple[str, ...] | list[str] = ...,
        jitter: float = ...,
        early: float = ...,
        stale: float = ...,
        local: bool = ...,
    ) -> T: ...
    @overload
    def get_or_set(
        self,
        key: str,
        loader: Callable[[], Coroutine[Any, Any, T]],
        ttl: float | None = ...,
        *,
        type: None = ...,
        tags: tuple[str, ...] | list[str] = ...,
        jitter: float = ...,
        early: float = ...,
        stale: float = ...,
        local: bool = ...,
    ) -> T: ...
    @overload
    def get_or_set(
        self,
        key: str,
        loader: Callable[[], T],
        ttl: float | None = ...,
        *,
        type: None = ...,
        tags: tuple[str, ...] | list[str] = ...,
        jitter: float = ...,
        early: float = ...,
        stale: float = ...,
        local: bool = ...,
    ) -> T: ...
    def get_or_set(
        self,
        key: str,
        loader: Callable[[], Any],
        ttl: float | None = None,
        *,
        type: Any = None,  # noqa: A002 - as in get
        tags: tuple[str, ...] | list[str] = (),
        jitter: float = 0.0,
        early: float = 0.0,
        stale: float = 0.0,
        local: bool = False,
    ) -> Any:
        """Return the value of a key; load and store it if there is none.

        The loader runs once, even if many callers in many threads and processes ask at once. If
        its process dies, another caller takes over; if it raises, every waiting caller gets the
        failure. While the server is away, full or read-only, the loader runs for each call and
        the log says so once.

        Parameters
        ----------
        key, ttl, tags, type
            As in `set`.
        loader
            Returns the value: a function, or a coroutine function, which runs on the cache's
            own event loop.
        jitter
            Shorten the time to live by a random share of up to this, 0 to 1, so that values
            stored together do not expire together.
        early
            In the last seconds before expiry one caller, with growing probability, loads the
            value again while the others still get it.
        stale
            Seconds after expiry for which the old value is returned if the loader fails.
        local
            As in `get`.

        Raises
        ------
        LoadFailed
            The loader failed in another process, a moment ago.
        DeadlineExceeded
            Another call has been loading the key for longer than ``wait_seconds``.
        UsageError
            The value would not come back equal, or the loader asks for its own key.

        Notes
        -----
        Errors of the loader are raised as they are.
        """
        self._loop.check()
        with Span(self._tracer, "get_or_set", "cache", 1, {"key": key}) as span:
            request = load_request(
                key, loader, self._seconds(ttl), type, tags, jitter, early=early, stale=stale,
                local=local, span=span,
            )  # fmt: skip
            return run(get_or_set_flow(self._loader, request), loader, self._loop)

    @overload
    async def aget_or_set(
        self,
        key: str,
        loader: Callable[[], object],
        ttl: float | None = ...,
        *,
        type: TypeForm[T],
        tags: tuple[str, ...] | list[str] = ...,
        jitter: float = ...,
        early: float = ...,
        stale: float = ...,
        local: bool = ...,
    ) -> T: ...
    @overload
    async def aget_or_set(
        self,
        key: str,
        loader: Callable[[], Coroutine[Any, Any, T]],
        ttl: float | None = ...,
        *,
        type: None = ...,
        tags: tuple[str, ...] | list[str] = ...,
        jitter: float = ...,
        early: float = ...,
        stale: float = ...,
        local: bool = ...,
    ) -> T: ...
    @overload
    async def aget_or_set(
        self,
        key: str,
        loader: Callable[[], T],
        ttl: float | None = ...,
        *,
        type: None = ...,
        tags: tuple[str, ...] | list[str] = ...,
        jitter: float = ...,
        early: float = ...,
        stale: float = ...,
        local: bool = ...,
    ) -> T: ...
    async def aget_or_set(
        self,
        key: str,
        loader: Callable[[], Any],
        ttl: float | None = None,
        *,
        type: Any = None,  # noqa: A002 - as in get
        tags: tuple[str, ...] | list[str] = (),
        jitter: float = 0.0,
        early: float = 0.0,
        stale: float = 0.0,
        local: bool = False,
    ) -> Any:
        """Await `get_or_set`; the loader runs on the caller's loop."""
        with Span(self._tracer, "get_or_set", "cache", 1, {"key": key}) as span:
            request = load_request(
                key, loader, self._seconds(ttl), type, tags, jitter, early=early, stale=stale,
                local=local, span=span,
            )  # fmt: skip
            return await arun(get_or_set_flow(self._loader, request), loader, self._call_threads)

    def cached(
        self,
        ttl: float | None = None,
        *,
        key: str | Callable[..., str] | None = None,
        **options: Unpack[LoadOptions],
    ) -> CachedDecorator:
        """Return a decorator that caches a function's results by its arguments.

        Parameters
        ----------
        ttl
            As in `set`.
        key
            The start of the keys, or a function of the arguments that returns the whole key.
            Default: the function's module and name, and a digest of its code, of its closure
            and of the object that it is bound to.
        **options
            As in `get_or_set`.

        Raises
        ------
        UsageError
            The function closes over, or is bound to, a value that has no exact form, such as
            a connection: pass ``key=``.

        Notes
        -----
        The function may be ``def`` or ``async def``, a method, a `functools.partial` or
        any other callable. ``.invalidate()`` on the decorated function removes its results.
        A variable of the closure counts with its value at the call; one that the function
        changes itself, such as a list of its calls, with its value at decoration. Names of the
        module that the function reads are not part of the key.
        """
        known = known_keywords(type(self).get_or_set)
        for word in options:
            if word not in known:
                raise unknown_keyword("cached", word, [*known, "key"], "cache")
        return cast(
            "CachedDecorator", lambda function: decorate(self, function, ttl, key, {**options})
        )

    def stats(self) -> Table:
        """Return this process's hits and misses, and the number of keys."""
        with Span(self._tracer, "stats", "cache", 1, None):
            keys = sum(1 for _ in self._names.matching("*"))
        counter = self._counter
        rows = [(counter.hits, counter.misses, round(counter.ratio, 3), keys)]
        return Table(("hits", "misses", "hit_ratio", "keys"), rows)

    @overload
    async def aget(self, key: str, *, type: TypeForm[T], local: bool = ...) -> T | None: ...
    @overload
    async def aget(
        self, key: str, default: D, *, type: TypeForm[T], local: bool = ...
    ) -> T | D: ...
    @overload
    async def aget(
        self, key: str, default: Any = ..., *, type: None = ..., local: bool = ...
    ) -> Any: ...
    async def aget(
        self,
        key: str,
        default: Any = None,
        *,
        type: Any = None,  # noqa: A002 - as in get
        local: bool = False,
    ) -> Any:
        """Await `get`."""
        return await await_method(self, self.get, key, default, type=type, local=local)

    aset, adelete, attl, akeys = twin(set), twin(delete), twin(ttl), twin(keys)  # noqa: A003 - as in get
    ainvalidate, ainvalidate_tags = twin(invalidate), twin(invalidate_tags)
    astats = twin(stats)

    def close(self) -> None:
        """Stop renewing locks and keeping copies. The client stays open."""
        self._loader.leases.close()
        self._call_threads.close()
        self._loop.close()
        self._copies.close()

    aclose = twin(close)

    def _seconds(self, ttl: float | None) -> float:
        return self.default_ttl if ttl is None else ttl

    def __repr__(self) -> str:
        return f"Cache({str(self._redis.target)!r}, prefix={self._keys.prefix!r})"
