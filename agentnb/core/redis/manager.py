"""The connections to one server, with its retry, its breaker and its log."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from redis.backoff import NoBackoff
from redis.exceptions import AskError, MovedError, ReadOnlyError, ResponseError
from redis.retry import Retry

from agentnb.core.redact import redact
from agentnb.core.redis.errors import elsewhere, may_pass, refused, translate, with_word
from agentnb.core.redis.folded import note_start
from agentnb.core.redis.nodes import Address, ClusterNodes
from agentnb.core.redis.pool import Pool
from agentnb.core.redis.retrying import Reconnect
from agentnb.core.redis.sigint import defer_sigint
from agentnb.core.resilience import Breaker, Deadline

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.redis.connection import Timed
    from agentnb.core.redis.folded import Folded
    from agentnb.core.redis.nodes import Nodes
    from agentnb.core.redis.server import EmbeddedServer
    from agentnb.core.redis.sigint import DeferredSigint
    from agentnb.core.redis.target import Target
    from agentnb.core.trace import Tracer
    from agentnb.core.trace.spans import Span

__all__ = ["ConnectionManager"]

T = TypeVar("T")
_COOLDOWN = 1.0


class ConnectionManager:
    """Lends connections to one server and makes calls on them, for all clients of that server.

    Parameters
    ----------
    target
        The server.
    server
        The embedded server, or None for one that runs anyway.
    tag
        The hash tag of agentnb's keys: in a Redis Cluster, the primary of its slot is followed.
    timeout
        Seconds for a call, unless it says otherwise.
    tracer, log
        Record spans and log lines.
    """

    def __init__(
        self,
        target: Target,
        *,
        server: EmbeddedServer | None,
        tag: str,
        timeout: float,
        tracer: Tracer,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self.target = target
        self.server = server
        self.tracer = tracer
        self.timeout = timeout
        self._log = log
        # The embedded server is there or is started; a breaker would only keep users from it.
        self.breaker = None if server is not None else Breaker("redis", counts=_is_ill)
        self.tag = tag
        self.nodes = self._find_nodes()
        self.commands = self._pool(Retry(NoBackoff(), 0), socket_timeout=timeout)
        self.publishing = self._pool(Retry(NoBackoff(), 0), socket_timeout=timeout)
        # For blocking commands, which wait without a socket timeout.
        self.waiting = self._pool(Reconnect(timeout), socket_timeout=None, starts=True)

    def _find_nodes(self) -> Nodes | None:
        options = self.target.options
        if self.target.scheme == "unix":
            return None
        if self.target.watched is not None:
            from agentnb.core.redis.sentinel import SentinelNodes

            return SentinelNodes(self.target.watched, changed=self._changed, log=self._log)
        seed = Address(options.get("host", "localhost"), options.get("port", 6379))
        return ClusterNodes(seed, self.tag, changed=self._changed, log=self._log)

    def _changed(self) -> None:
        """Close the idle connections to a server that is not used now."""
        for pool in (self.waiting, self.publishing, self.commands):
            pool.disconnect()
        if self.breaker is not None:
            # Another server takes over within seconds: keep nobody away from it for longer.
            self.breaker.cooldown = _COOLDOWN

    @property
    def where(self) -> Target:
        """Return the target, named with the server in use where that is another one."""
        node = None if self.nodes is None else self.nodes.describe()
        if node is None:
            return self.target
        hint = f"{self.target.hint}; the other servers name {node} by this address"
        return replace(self.target, name=f"{self.target} ({node})", hint=hint)

    def _pool(self, retry: Retry, **options: Any) -> Pool:
        target = self.target
        return Pool(
            target.scheme,
            retry=retry,
            socket_connect_timeout=self.timeout,
            patience=self.timeout,
            server=self.server,
            connected=self._connected,
            remote=target.scheme != "unix",
            nodes=self.nodes,
            **target.options,
            **options,
        )

    def _connected(self) -> None:
        self._log.info("redis connected")

    def call(
        self,
        attempt: Callable[[], T],
        *,
        span: Span | Folded,
        until: float | None,
        seconds: float,
        repeatable: bool,
        once: bool = False,
    ) -> T:
        """Make a call; retry it while it is repeatable, may succeed, and has time left.

        Parameters
        ----------
        attempt
            Makes one attempt, and ends by the deadline.
        span
            Records the number of the attempt.
        until
            The deadline on the monotonic clock; None for none.
        seconds
            The timeout, for messages and for reconnecting.
        repeatable
            Whether the command may be sent twice.
        once
            Whether there is no retry. The embedded server is brought back nevertheless.

        Raises
        ------
        AgentnbError
            Every attempt failed.
        """
        follow = self._following

        def following() -> T:
            return follow(attempt)

        try:
            if self.breaker is None:
                return self._attempts(attempt, span, until, seconds, repeatable)
            if once:
                return self.breaker.call(following)
            return self.breaker.call(self._attempts, following, span, until, seconds, repeatable)
        except Exception as error:
            ours = translate(error, self.where, seconds)
            if ours is None or ours is error:
                raise
            raise ours from error

    def probe(self, seconds: float) -> None:
        """Ping the server once, past the breaker; an answer closes it.

        Raises
        ------
        AgentnbError
            There is no answer.
        """
        until = monotonic() + seconds

        def ping(connection: Timed) -> object:
            connection.send_command("PING", check_health=False)
            return connection.read_response()

        try:
            self.borrowed(self.commands, ping, until)
        except Exception as error:
            ours = translate(error, self.where, seconds)
            if ours is None or ours is error:
                raise
            raise ours from error
        if self.breaker is not None and self.breaker.state != "closed":
            self.breaker.reset()

    def _following(self, attempt: Callable[[], T]) -> T:
        """Make an attempt, and once more where the server says that its keys have moved.

        Raises
        ------
        RejectedError
            Other keys than agentnb's are on another server.
        """
        try:
            return attempt()
        except AskError as error:
            if not self.follow(error):
                raise
        except ReadOnlyError:
            if self.nodes is not None:
                self.nodes.doubt()
            raise
        return attempt()

    def follow(self, error: AskError) -> bool:
        """Return whether another server has the keys now, and use that one from here on.

        Raises
        ------
        RejectedError
            The keys are not agentnb's.
        """
        nodes = self.nodes
        if nodes is None or not nodes.owns(error):
            raise elsewhere(error, self.where, self.tag) from error
        return isinstance(error, MovedError) and nodes.moved(error)

    def _attempts(
        self,
        attempt: Callable[[], T],
        span: Span | Folded,
        until: float | None,
        seconds: float,
        repeatable: bool,  # noqa: FBT001 - handed on by the breaker, by position
    ) -> T:
        server = self.server
        try:
            if server is not None and not server.seen_up:
                # Before the first attempt: a server that starts or is started is no failure.
                left = seconds if until is None else until - monotonic()
                note_start(span, started=server.ensure(Deadline(left)))
            return attempt()
        except Exception as error:
            if not self._worth_again(error, repeatable=repeatable):
                raise
            first: Exception | None = error
            if until is not None and monotonic() >= until:
                raise
            if server is not None:
                # Bringing it back is what helps; no pause would.
                self._failed(error, 1)
                first = None

        def again() -> T:
            nonlocal first
            if first is not None:
                failed, first = first, None
                raise failed
            left = seconds if until is None else max(until - monotonic(), 0.0)
            if server is not None and server.ensure(Deadline(left)):
                note_start(span)  # the server's start is no failure of the call
            else:
                span.attempt += 1
            return attempt()

        left = seconds if until is None else until - monotonic()
        return Reconnect(left).call_with_retry(
            again,
            self._failed,
            lambda error: self._worth_again(error, repeatable=repeatable),
            with_failure_count=True,
        )

    def _worth_again(self, error: Exception, *, repeatable: bool) -> bool:
        never_sent = getattr(error, "unsent", False) or refused(error)
        return may_pass(error) and (repeatable or never_sent)

    def _failed(self, error: Exception, failures: int) -> None:
        self._log.error("redis error, attempt %d: %s", failures, redact(with_word(error)))

    def borrowed(self, pool: Pool, work: Callable[[Timed], T], until: float | None) -> T:
        """Run one attempt on a connection, with SIGINT deferred until it ends."""

        def attempt(waiting: DeferredSigint) -> T:
            connection = pool.borrow()
            waiting.end = connection.abort
            return on(connection, pool, work, until)

        return defer_sigint(attempt)

    def close(self) -> None:
        """Close every connection, then leave the embedded server; the next use reconnects."""
        for pool in (self.waiting, self.publishing, self.commands):
            pool.disconnect()
        if self.nodes is not None:
            self.nodes.close()
        if self.server is not None:
            self.server.leave()
        self._log.info("redis disconnected")


def on(
    connection: Timed,
    pool: Pool,
    work: Callable[[Timed], T],
    until: float | None,
    connected: float | None = None,
) -> T:
    """Run work on a connection and release it, closed unless the reply was read in full.

    Parameters
    ----------
    connection, pool
        The connection, and the pool that it goes back to.
    work
        Sends a command and reads the reply.
    until
        The deadline on the monotonic clock; None for none.
    connected
        An earlier deadline for a connection that has to be made.
    """
    try:
        connection.ready(until if connected is None else connected)
        if connected is not None:
            connection.limit(until)
        result = work(connection)
    except ResponseError:
        pool.release(connection)  # a no is an answer, too
        raise
    except BaseException:
        connection.disconnect()
        pool.release(connection)
        raise
    connection.used()
    pool.release(connection)
    return result


def _is_ill(error: Exception) -> bool:
    return may_pass(error) and not refused(error)
