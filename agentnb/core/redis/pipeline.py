"""A pipeline: commands that are sent together, with deadline, retry and span."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from redis import client as theirs
from redis.exceptions import AskError, ReadOnlyError, WatchError

from agentnb.core.redis import taped
from agentnb.core.redis.errors import REFUSALS
from agentnb.core.redis.folded import Folded
from agentnb.core.redis.policy import REPEATABLE, flags_of
from agentnb.core.redis.sigint import defer_sigint
from agentnb.core.trace.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.redis.client import RedisClient
    from agentnb.core.redis.manager import ConnectionManager
    from agentnb.core.redis.sigint import DeferredSigint
    from agentnb.core.trace import Tracer

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
        self._spans: Tracer | None = client._spans  # noqa: SLF001 - a pipeline is part of its client

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
        together = self._together or explicit
        tape = taped.tape_of(self._spans)
        if tape is None:
            return self._executed(stack, scripts, together, raise_on_error)
        operation, given = taped.pipeline([args for args, _ in stack], together=together)
        found: list[Any] = tape.call(
            operation,
            given,
            lambda: self._executed(stack, scripts, together, raise_on_error),
            self._manager.tracer.redactor,
        )
        if tape.replays:
            self._forget()
        return found

    def _executed(
        self,
        stack: list[Any],
        scripts: Any,
        together: bool,  # noqa: FBT001 - of one call
        raise_on_error: bool,  # noqa: FBT001 - redis-py's own
    ) -> list[Any]:
        explicit = self.explicit_transaction
        repeatable = not self.watching and all(flags_of(args) & REPEATABLE for args, _ in stack)
        replies: list[Any] = [None] * len(stack)
        left = list(range(len(stack)))

        def once() -> None:
            # Each attempt ends with a reset, which forgets what was to be sent.
            self.command_stack, self.scripts = [stack[at] for at in left], set(scripts)
            self.explicit_transaction = explicit
            answers = super(Pipeline, self).execute(together and raise_on_error)
            for at, reply in zip(left, answers, strict=True):
                replies[at] = reply
            if not together:
                # What the server has not executed is sent again, alone: the keys are moving.
                left[:] = [at for at in left if self._is_refused(replies[at], raise_on_error)]
                if left:
                    raise replies[left[0]]
                if raise_on_error:
                    self.raise_first_error(stack, replies)

        name = "MULTI" if together else "PIPELINE"
        self._call(name, once, repeatable=repeatable, commands=len(stack))
        return replies

    def _is_refused(self, reply: Any, raise_on_error: bool) -> bool:  # noqa: FBT001 - redis-py's own
        nodes = self._manager.nodes
        if isinstance(reply, AskError):
            return nodes is not None and nodes.owns(reply)
        if isinstance(reply, ReadOnlyError):
            return raise_on_error
        return isinstance(reply, REFUSALS)

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command at once: WATCH, and what is read between it and MULTI."""

        def once() -> Any:
            return super(Pipeline, self).immediate_execute_command(*args, **options)

        tape = taped.tape_of(self._spans)
        if tape is None:
            return self._call(args[0], once, repeatable=False)
        operation, given = taped.command(args)
        found = tape.call(
            operation,
            given,
            lambda: self._call(args[0], once, repeatable=False),
            self._manager.tracer.redactor,
        )
        if tape.replays:
            self.watching = args[0] == "WATCH" or (self.watching and args[0] != "UNWATCH")
        return found

    def _forget(self) -> None:
        """Be as after a reset: a replay has no connection to be given back."""
        self.command_stack, self.scripts = [], set()
        self.watching = self.explicit_transaction = False

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
            if not self.watching:
                connection.ready(until)  # type: ignore[union-attr]
                return once()
            connection.limit(until)  # type: ignore[union-attr]  # connecting anew would forget what is watched
            try:
                return once()
            except REFUSALS as error:
                raise self._unwatched(error) from error

        def call(span: Span | Folded) -> Any:
            return manager.call(
                lambda: defer_sigint(attempt),
                span=span,
                until=until,
                seconds=self._timeout,
                repeatable=repeatable,
            )

        if self._spans is None:
            return call(Folded())
        with Span(self._spans, name, "redis", 1, attributes or None) as span:
            return call(span)

    def _unwatched(self, error: Exception) -> WatchError:
        """Return the error for a refusal while keys are watched, which a retry would not watch."""
        self.reset()
        if isinstance(error, AskError):
            self._manager.follow(error)
        return WatchError(f"the server refused it while keys were watched: {error}")
