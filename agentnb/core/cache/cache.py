"""The cache: values by key, loaded once, kept for a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.cache.checks import milliseconds, wanted
from agentnb.core.cache.decorating import decorate
from agentnb.core.cache.driving import adrive, drive
from agentnb.core.cache.loader import Loader
from agentnb.core.cache.loading import steps
from agentnb.core.cache.values import DEFAULT_TTL, Values
from agentnb.core.loop import LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime

__all__ = ["Cache"]

T = TypeVar("T")

WAIT_SECONDS = 300.0


class Cache(Values):
    """Values by key, on a Redis or Valkey that any number of processes share.

    What comes back is what was stored, or storing it was an error. None is a value.
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
        After this time a loader whose process has died is replaced.
    wait_seconds
        A call waits for no longer than this for another call's loader: five minutes.
    runtime
        Tracer, redactor and logs; default: those of `redis`.

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
        runtime: Runtime | None = None,
    ) -> None:
        super().__init__(
            redis,
            prefix=prefix,
            default_ttl=default_ttl,
            lock_seconds=lock_seconds,
            runtime=runtime,
        )
        milliseconds(wait_seconds, "wait_seconds")
        self._loader = Loader(self, lock_seconds=lock_seconds, patience=wait_seconds)
        self._loop = LoopThread()

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

        However many callers in however many threads and processes want it at once, the
        loader runs once. If its process dies another caller takes over; if it raises, all
        who wait get the failure. While the server is away, full or read-only the loader is
        called each time, and the log says so once.

        Parameters
        ----------
        key, ttl, tags, type
            As in `set`.
        loader
            Makes the value: a function, or a coroutine function, which runs on a loop of
            the cache's own.
        jitter
            Spread the time to live by up to this share of it, 0 to 1, so that what was
            stored together does not end together.
        early
            In the last seconds of its life one caller, ever more likely, loads the value
            again, while the others still get it.
        stale
            Seconds after its end for which the old value is served if the loader fails.
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
        Whatever the loader raises is raised.
        """
        self._loop.check()
        it = wanted(
            key, loader, self._seconds(ttl), type, tags, jitter, early=early, stale=stale,
            local=local,
        )  # fmt: skip
        return drive(steps(self._loader, it), loader, self._loop)

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
        it = wanted(
            key, loader, self._seconds(ttl), type, tags, jitter, early=early, stale=stale,
            local=local,
        )  # fmt: skip
        return await adrive(steps(self._loader, it), loader)

    def cached(
        self,
        ttl: float | None = None,
        *,
        key: str | Callable[..., str] | None = None,
        **options: Any,
    ) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Return a decorator that caches what a function returns, by its arguments.

        Parameters
        ----------
        ttl
            As in `set`.
        key
            The start of the keys, or a function of the arguments that gives the whole key.
            Default: the function's module and name, and a digest of its code, of what it
            closes over and of what it is bound to.
        **options
            As in `get_or_set`.

        Raises
        ------
        UsageError
            The function closes over, or is bound to, a value that has no exact form, such as
            a connection: only ``key=`` can tell its values apart.

        Notes
        -----
        The function may be ``def`` or ``async def``, a method, a `functools.partial` or
        anything else that can be called. ``.invalidate()`` on the decorated one forgets all
        that it has cached. A variable that the function closes over counts as it is when the
        function is called; one that the function changes itself, such as a list of its calls,
        as it was when it was decorated. Names of its module that the function reads are no part
        of the key.
        """
        return lambda function: decorate(self, function, ttl, key, options)

    def close(self) -> None:
        """Stop renewing locks and keeping copies. The client is its owner's to close."""
        self._loader.leases.close()
        self._loop.close()
        super().close()

    def _seconds(self, ttl: float | None) -> float:
        return self.default_ttl if ttl is None else ttl

    def __repr__(self) -> str:
        return f"Cache({str(self.redis.target)!r}, prefix={self.keys_of.prefix!r})"
