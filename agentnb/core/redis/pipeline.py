"""A pipeline: commands that are sent together, with deadline, retry and span."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from redis import client as theirs

from agentnb.core.redis.policy import REPEATABLE, flags_of
from agentnb.core.redis.sigint import defer_sigint
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.redis.client import RedisClient
    from agentnb.core.redis.manager import ConnectionManager
    from agentnb.core.redis.sigint import DeferredSigint

__all__ = ["Pipeline"]


class Pipeline(theirs.Pipeline):
    """A pipeline of a `RedisClient`: one call, with one deadline, one span and one reply.

    An interrupt waits for the reply. The pipeline is retried only if each of its commands may be.
    """

    def __init__(
        self, client: RedisClient, manager: ConnectionManager, transaction: Any, shard_hint: Any
    ) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._together = bool(transaction)
        self._manager = manager
        self._timeout = client.timeout

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - redis-py's own
        """Send the commands and return their replies.

        Raises
        ------
        UnavailableError
            The server cannot be reached, or did not answer in time.
        RejectedError
            It refused one of them, or (`Changed`) a key that was watched has changed.
        """
        stack, scripts = self.command_stack, self.scripts
        if not stack and not self.watching:
            return []
        explicit = self.explicit_transaction
        repeatable = not self.watching and all(flags_of(args) & REPEATABLE for args, _ in stack)

        def once() -> list[Any]:
            # Each attempt ends with a reset, which forgets what was to be sent.
            self.command_stack, self.scripts = list(stack), set(scripts)
            self.explicit_transaction = explicit
            return super(Pipeline, self).execute(raise_on_error)

        name = "MULTI" if self._together or explicit else "PIPELINE"
        return self._call(name, once, repeatable=repeatable, commands=len(stack))  # type: ignore[no-any-return]

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command at once: WATCH, and what is read between it and MULTI."""

        def once() -> Any:
            return super(Pipeline, self).immediate_execute_command(*args, **options)

        return self._call(args[0], once, repeatable=False)

    def _call(
        self, name: Any, once: Callable[[], Any], *, repeatable: bool, **attributes: object
    ) -> Any:
        manager, until = self._manager, monotonic() + self._timeout

        def attempt(waiting: DeferredSigint) -> Any:
            connection = self.connection
            if connection is None:
                connection = self.connection_pool.borrow()  # type: ignore[attr-defined]
                self.connection = connection
            waiting.end = connection.abort  # type: ignore[union-attr]
            if self.watching:
                connection.limit(until)  # type: ignore[union-attr]  # connecting anew would forget what is watched
            else:
                connection.ready(until)  # type: ignore[union-attr]
            return once()

        with Span(manager.tracer, name, "redis", 1, attributes or None) as span:
            return manager.call(
                lambda: defer_sigint(attempt),
                span=span,
                until=until,
                seconds=self._timeout,
                repeatable=repeatable,
            )
