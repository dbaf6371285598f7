"""The client: redis-py's, with deadlines, safe interrupts, agentnb's errors and spans."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

import redis
from redis.client import Monitor

from agentnb.core.closing import leave
from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.forking import free_in_children
from agentnb.core.ranges import seconds as in_seconds
from agentnb.core.redis import taped
from agentnb.core.redis.folded import Folded
from agentnb.core.redis.keys import Keys
from agentnb.core.redis.manager import ConnectionManager, on
from agentnb.core.redis.pipeline import Pipeline
from agentnb.core.redis.policy import BLOCKING, KEYED, REPEATABLE, blocking_seconds, flags_of
from agentnb.core.redis.pubsub import PubSub
from agentnb.core.redis.server import EmbeddedServer
from agentnb.core.redis.target import Target, parse
from agentnb.core.runtime import Runtime
from agentnb.core.tape.hook import muted
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from redis.connection import ConnectionPool

    from agentnb.core.redis.connection import Timed
    from agentnb.core.redis.script import Script
    from agentnb.core.redis.sigint import DeferredSigint
    from agentnb.core.trace import Tracer

__all__ = ["RedisClient"]

_CONNECT_SECONDS = 1.0


class RedisClient(redis.Redis):
    """A redis-py client of the embedded server or of a shared one, safe to interrupt.

    Nothing is connected, nor is the embedded server started, before the first command.
    Thread-safe; a forked child makes its own connections. It gives and takes bytes, as
    redis-py does.

    - A call ends by its deadline, even if the server hangs.
    - Ctrl-C waits for the reply of the one command that is under way; a second one does not.
    - A command is retried only if repeating it changes neither its effect nor its reply. One that
      never reached the server, or that a read-only or loading server refused, is always retried.
    - Commands that wait (``BLPOP``, ``XREAD BLOCK``, ...) have connections of their own.

    Parameters
    ----------
    url
        ``redis://``, ``rediss://`` or ``unix://``; any node of a Redis Cluster; or
        ``redis+sentinel://host:26379,host:26379/mymaster/0`` for the primary that Sentinels name.
        None for the embedded server.
    home
        The home folder of the embedded server; needed if there is no URL.
    timeout
        Seconds for a call with all its attempts; see `within`.
    prefix
        The prefix of agentnb's keys. If the server belongs to a Redis Cluster, the client uses
        the node that has them, whichever node the URL names.
    runtime
        Tracer, redactor and logs; default: new ones.

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
        prefix: str = "agentnb",
        runtime: Runtime | None = None,
    ) -> None:
        self.runtime = runtime = runtime or Runtime()
        target, server = _embedded(home, runtime) if url is None else (parse(url), None)
        keys = Keys(prefix)
        target = replace(target, rights=keys.rights)
        log = runtime.log("redis", target=str(target))
        self._manager = ConnectionManager(
            target,
            server=server,
            tag=keys.tag,
            timeout=timeout,
            tracer=runtime.tracer,
            log=log,
        )
        self.timeout = timeout
        self._waits = False
        self._repeats = False
        self._spans: Tracer | None = self._manager.tracer
        self._owner = True
        super().__init__(connection_pool=self._manager.commands)
        free_in_children(self.single_connection_lock)
        self.publisher = self._view(self._manager.publishing)
        self.subscriber = self._view(self._manager.waiting, _waits=True)

    def _view(self, pool: ConnectionPool, **changes: Any) -> Self:
        """Return a copy of this client with some attributes changed; closing it does nothing."""
        view = copy.copy(self)
        view.__dict__ |= {"_owner": False, "connection_pool": pool, **changes}
        return view

    def within(self, seconds: float) -> Self:
        """Return this client with another timeout.

        Parameters
        ----------
        seconds
            For each call, including its retries.

        Raises
        ------
        UsageError
            It is not greater than 0.
        """
        timeout = in_seconds("seconds", seconds, service="redis", hint="such as redis.within(0.5)")
        return self._view(self.connection_pool, timeout=timeout)

    @property
    def repeating(self) -> Self:
        """Return this client with every call retried after a lost reply.

        For scripts that detect that they have run already.
        """
        return self._view(self.connection_pool, _repeats=True)

    @property
    def untraced(self) -> Self:
        """Return this client without spans, for callers that record spans of their own.

        Attempts and a server that was started are noted in the caller's span.
        """
        return self._view(self.connection_pool, _spans=None)

    @property
    def tracer(self) -> Tracer:
        """Return the tracer that records this client's calls."""
        return self._manager.tracer

    @property
    def target(self) -> Target:
        """Return the server; as text it has no password."""
        return self._manager.target

    @property
    def node(self) -> str | None:
        """Return which server of several is in use; None where the URL names it."""
        nodes = self._manager.nodes
        return None if nodes is None else nodes.describe()

    @property
    def embedded(self) -> bool:
        """Return whether the server is the embedded one."""
        return self._manager.server is not None

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
        tape = taped.tape_of(self._spans)
        if tape is not None:
            operation, given = taped.command(args)
            return tape.call(
                operation, given, lambda: self._traced(args, options), self._manager.tracer.redactor
            )
        return self._traced(args, options)

    def _traced(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if self._spans is None:
            return self._execute(Folded(), args, options)
        key = args[1] if len(args) > 1 and flags_of(args) & KEYED else None
        with Span(self._spans, args[0], "redis", 1, None if key is None else {"key": key}) as span:
            return self._execute(span, args, options)

    def _run_script(self, script: Script, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        """Run a script, in one span; a server that does not know it is told its text.

        Raises
        ------
        AgentnbError
            As `execute_command`.
        """
        if self._spans is None:
            return script.run_by(partial(self._sent, Folded()), keys, args)
        with Span(self._spans, "EVALSHA", "redis", 1, {"key": keys[0]} if keys else None) as span:
            return script.run_by(partial(self._sent, span), keys, args)

    def _sent(self, span: Span | Folded, /, *args: Any) -> Any:
        return self._execute(span, args, {})

    def _execute(self, span: Span | Folded, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        flags = flags_of(args)

        def work(connection: Timed) -> Any:
            connection.send_command(*args, check_health=False)
            return self.parse_response(connection, args[0], **options)

        if flags & BLOCKING or self._waits:
            return self._wait(work, span, args, flags)
        manager, seconds = self._manager, self.timeout
        pool: Any = self.connection_pool
        until = monotonic() + seconds
        return manager.call(
            lambda: manager.borrowed(pool, work, until),
            span=span,
            until=until,
            seconds=seconds,
            repeatable=self._repeats or bool(flags & REPEATABLE),
        )

    def execute_within(self, span: Span | Folded, waiting: DeferredSigint, *args: Any) -> Any:
        """Send a command inside a span and a `defer_sigint` block of the caller.

        As `execute_command`, but it is sent once, and a server that accepts no connection within
        1 s is away: the caller keeps the command, and waits for nobody.
        """
        manager, pool, seconds = self._manager, self.connection_pool, self.timeout
        now = monotonic()
        until, connected = now + seconds, None
        if manager.server is None:
            connected = now + min(seconds, _CONNECT_SECONDS)

        def work(connection: Timed) -> Any:
            connection.send_command(*args, check_health=False)
            return self.parse_response(connection, args[0])

        def attempt() -> Any:
            connection = pool.borrow()  # type: ignore[attr-defined]  # a pool of agentnb
            waiting.end = connection.abort
            return on(connection, pool, work, until, connected)  # type: ignore[arg-type]  # as above

        return manager.call(
            attempt, span=span, until=until, seconds=seconds, repeatable=False, once=True
        )

    def _wait(
        self, work: Callable[[Timed], Any], span: Span | Folded, args: tuple[Any, ...], flags: int
    ) -> Any:
        """Send a blocking command: an interrupt ends it and closes its connection."""
        manager, seconds = self._manager, self.timeout
        waits = blocking_seconds(args) if flags & BLOCKING else 0.0
        until = None if waits is None else monotonic() + waits + seconds
        pool = manager.waiting

        def attempt() -> Any:
            # Each attempt waits in full: one may end early, since the keys have moved.
            end = None if waits is None else monotonic() + waits + seconds
            return on(pool.borrow(), pool, work, end)

        return manager.call(
            attempt,
            span=span,
            until=until,
            seconds=seconds + (waits or 0.0),
            repeatable=False,
        )

    def probe(self, timeout: float = 1.0) -> None:
        """Check that the server answers now; one that is away is not asked again.

        An open breaker does not refuse it, and is closed by an answer. The embedded server is
        started.

        Parameters
        ----------
        timeout
            Seconds for the answer.

        Raises
        ------
        UnavailableError
            There is none.
        ConfigError
            The server refuses the login, or is no Redis.
        """
        client = self.within(timeout)
        if self.embedded:
            with muted():
                client.ping()
            return
        if self._spans is None:
            self._manager.probe(client.timeout)
            return
        with Span(self._spans, "PING", "redis", 1, None):
            self._manager.probe(client.timeout)

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:  # noqa: FBT002 - redis-py's own
        """Return a pipeline: commands that are sent together, in a transaction or not."""
        return Pipeline(self, self._manager, transaction, shard_hint)

    def pubsub(self, **options: Any) -> Any:
        """Return a subscriber to channels, on a connection of its own."""
        taped.refuse("subscriptions")
        return PubSub(self._manager, **options)

    def monitor(self) -> Any:
        """Return a monitor of every command that the server runs, on its own connection."""
        taped.refuse("monitors")
        return Monitor(self._manager.waiting)

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
        if self.__dict__.get("_owner", False):
            self._manager.close()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        return f"RedisClient({str(self._manager.target)!r})"


def _embedded(home: Path | None, runtime: Runtime) -> tuple[Target, EmbeddedServer]:
    if home is None:
        raise ConfigError(
            "neither a Redis URL nor a home for an embedded server is given",
            service="redis",
            hint="RedisClient(url) or RedisClient(home=...)",
        )
    server = EmbeddedServer(home, log=runtime.log("redis"))
    options = {"path": str(server.paths.socket)}
    hint = f"see {server.paths.data / 'server.log'}"
    return Target(f"the embedded server of {home}", hint, options), server
