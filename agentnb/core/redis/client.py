"""The client: redis-py's, with our time, our interrupts, our errors and our spans."""

from __future__ import annotations

import copy
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

import redis
from redis.client import Monitor

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.redis.link import Link, on
from agentnb.core.redis.pipeline import Pipeline
from agentnb.core.redis.policy import BLOCKING, KEYED, REPEATABLE, blocking_seconds, flags_of
from agentnb.core.redis.pubsub import PubSub
from agentnb.core.redis.server import EmbeddedServer
from agentnb.core.redis.target import Target, parse
from agentnb.core.trace import ServiceLog, Tracer
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis.connection import ConnectionPool

    from agentnb.core.redis.connection import Timed
    from agentnb.core.redis.interrupt import Held

__all__ = ["RedisClient"]


class RedisClient(redis.Redis):
    """redis-py's client on a server of one's own or a shared one, safe to interrupt.

    Nothing is connected, nor is the embedded server started, before the first command.
    Thread-safe; a forked child makes its own connections. It gives and takes bytes, as
    redis-py does.

    - A call is over within its time, whatever the server does.
    - Ctrl-C waits for the reply of the one command that is under way; a second one does not.
    - A command is sent again only if that changes neither its effect nor its reply. One that
      never reached the server, or was refused by one that is read-only or loading, is sent again
      whatever it is.
    - Commands that wait (``BLPOP``, ``XREAD BLOCK``, ...) have connections of their own.

    Parameters
    ----------
    url
        ``redis://``, ``rediss://`` or ``unix://``; None for the embedded server.
    home
        The home folder of the embedded server; needed if there is no URL.
    timeout
        Seconds for a call with all its attempts; see `within`.
    tracer
        Where spans go; default: one of its own, in memory.
    hub_id
        The hub whose log file takes what this client logs; default: any.

    Attributes
    ----------
    publisher, subscriber
        Clients of the same server on connections of their own: one to publish, one to wait.

    Raises
    ------
    ConfigError
        The URL cannot be understood, or there is no embedded server for this system.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as home, RedisClient(home=Path(home)) as client:
    ...     _ = client.set("rate", 1.5)
    ...     client.get("rate")
    b'1.5'
    """

    publisher: RedisClient
    subscriber: RedisClient

    def __init__(
        self,
        url: str | None = None,
        *,
        home: Path | None = None,
        timeout: float = 5.0,
        tracer: Tracer | None = None,
        hub_id: str | None = None,
    ) -> None:
        target, server = _embedded(home, hub_id) if url is None else (parse(url), None)
        log = ServiceLog("redis", hub_id, target=str(target))
        self.link = Link(target, server=server, timeout=timeout, tracer=tracer or Tracer(), log=log)
        self.timeout = timeout
        self.waits = False
        self.repeats = False
        self.spans: Tracer | None = self.link.tracer
        self.owner = True
        super().__init__(connection_pool=self.link.commands)
        self.publisher = self._view(self.link.publishing)
        self.subscriber = self._view(self.link.waiting, waits=True)

    def _view(self, pool: ConnectionPool, **changes: Any) -> Self:
        """Return this client with other connections, time or manners; it owns nothing."""
        view = copy.copy(self)
        view.__dict__ |= {"owner": False, "connection_pool": pool, **changes}
        return view

    def within(self, seconds: float) -> Self:
        """Return this client with another limit to its calls.

        Parameters
        ----------
        seconds
            For each call with all its attempts.

        Raises
        ------
        UsageError
            Not more than 0.
        """
        if not seconds > 0:
            raise UsageError(f"a call cannot be over within {seconds} s", service="redis")
        return self._view(self.connection_pool, timeout=seconds)

    @property
    def repeating(self) -> Self:
        """Return this client for calls that may be made twice, though not all such calls may.

        It is for scripts that find out that they have run already. A call whose reply was lost
        is made again, within its time.
        """
        return self._view(self.connection_pool, repeats=True)

    @property
    def untraced(self) -> Self:
        """Return this client without spans, for those who make spans of their own around calls."""
        return self._view(self.connection_pool, spans=None)

    @property
    def target(self) -> Target:
        """Return the server, in words without a password."""
        return self.link.target

    @property
    def embedded(self) -> bool:
        """Return whether it is the home's own server."""
        return self.link.server is not None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return its reply.

        Raises
        ------
        UnavailableError
            The server cannot be reached, or did not answer in time (`DeadlineExceeded`).
        RejectedError
            It said no.
        ConfigError
            It refuses the login, or is no Redis.
        """
        flags = flags_of(args)
        attributes: dict[str, object] | None = None
        if flags & KEYED and len(args) > 1:
            attributes = {"key": args[1]}
        with Span(self.spans, args[0], "redis", 1, attributes) as span:

            def work(connection: Timed) -> Any:
                connection.send_command(*args, check_health=False)
                return self.parse_response(connection, args[0], **options)

            if flags & BLOCKING or self.waits:
                return self._wait(work, span, args, flags)
            link, seconds = self.link, self.timeout
            pool: Any = self.connection_pool
            until = monotonic() + seconds
            return link.call(
                lambda: link.borrowed(pool, work, until),
                span=span,
                until=until,
                seconds=seconds,
                repeatable=self.repeats or bool(flags & REPEATABLE),
            )

    def execute_within(self, span: Span, waiting: Held, *args: Any) -> Any:
        """Send a command for a caller with a span of its own, that `held` keeps from interrupts.

        It is as `execute_command`, without doing either twice, and is never sent twice unless it
        did not reach the server.
        """
        link, pool, seconds = self.link, self.connection_pool, self.timeout
        until = monotonic() + seconds

        def work(connection: Timed) -> Any:
            connection.send_command(*args, check_health=False)
            return self.parse_response(connection, args[0])

        def attempt() -> Any:
            connection = pool.borrow()  # type: ignore[attr-defined]  # it is one of ours
            waiting.end = connection.abort
            return on(connection, pool, work, until)  # type: ignore[arg-type]  # as above

        return link.call(attempt, span=span, until=until, seconds=seconds, repeatable=False)

    def _wait(
        self, work: Callable[[Timed], Any], span: Span, args: tuple[Any, ...], flags: int
    ) -> Any:
        """Send a command that may take its time: an interrupt ends it, and its connection."""
        link, seconds = self.link, self.timeout
        waits = blocking_seconds(args) if flags & BLOCKING else 0.0
        until = None if waits is None else monotonic() + waits + seconds
        pool = link.waiting
        return link.call(
            lambda: on(pool.borrow(), pool, work, until),
            span=span,
            until=until,
            seconds=seconds + (waits or 0.0),
            repeatable=False,
        )

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:  # noqa: FBT002 - redis-py's own
        """Return a pipeline: commands that are sent together, in a transaction or not."""
        return Pipeline(self, transaction, shard_hint)

    def pubsub(self, **options: Any) -> Any:
        """Return a subscriber to channels, on a connection of its own."""
        return PubSub(self.link, **options)

    def monitor(self) -> Any:
        """Return what sees every command that the server is given, on its own connection."""
        return Monitor(self.link.waiting)

    def client(self) -> Any:
        """Refuse: one connection for several commands is what an interrupt breaks.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError(
            "a client of a single connection cannot be interrupted safely",
            service="redis",
            hint="hub.redis.pipeline() sends several commands together",
        )

    def close(self) -> None:
        """Close every connection and leave the embedded server; the next use opens anew.

        Clients made from this one (`publisher`, `within`) share its connections; closing them
        does nothing.
        """
        if self.__dict__.get("owner", False):
            self.link.close()

    def __repr__(self) -> str:
        return f"RedisClient({str(self.link.target)!r})"


def _embedded(home: Path | None, hub_id: str | None) -> tuple[Target, EmbeddedServer]:
    if home is None:
        raise ConfigError(
            "neither a Redis URL nor a home for an embedded server is given",
            service="redis",
            hint="RedisClient(url) or RedisClient(home=...)",
        )
    server = EmbeddedServer(home, log=ServiceLog("redis", hub_id))
    options = {"path": str(server.places.socket)}
    hint = f"see {server.places.data / 'server.log'}"
    return Target(f"the embedded server of {home}", hint, options), server
