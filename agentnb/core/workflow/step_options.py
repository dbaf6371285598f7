"""The options of steps: attempts, time-outs, errors that are final, changed arguments."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from agentnb.core.codec import NotJson, check_schema, encode
from agentnb.core.errors import (
    AttemptStopped,
    DeadlineExceeded,
    Final,
    UsageError,
)
from agentnb.core.failure import words_of
from agentnb.core.ranges import refused, seconds, whole
from agentnb.core.work.backoff import Backoff
from agentnb.core.workflow.spec import MOST_ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentnb.core.workflow.usage import Usage

__all__ = ["ErrorClasses", "OnChange", "StepArguments", "StepOptions", "fingerprint"]

OnChange = Literal["warn", "fail", "again"]
ErrorClasses = type[Exception] | tuple[type[Exception], ...] | list[type[Exception]]
_NEVER_AGAIN = (AttemptStopped, Final, UsageError)


class StepArguments(TypedDict, total=False):
    """The arguments of `Context.with_options` beside the type of the results."""

    attempts: int
    backoff: float
    timeout: float | None
    final: ErrorClasses
    on_change: OnChange


@dataclass(frozen=True, slots=True)
class StepOptions:
    """The options of `Context.with_options`, checked.

    Attributes
    ----------
    returns, attempts, backoff, timeout, final, on_change
        As `Context.with_options` takes them.
    usage
        Given a result, returns the use of a language model that it took; None for no such step.
    """

    returns: Any = None
    attempts: int = 1
    backoff: Backoff = field(default_factory=Backoff)
    timeout: float | None = None
    final: tuple[type[Exception], ...] = ()
    on_change: OnChange = "warn"
    usage: Callable[[Any], Usage] | None = None

    @classmethod
    def of(
        cls,
        *,
        returns: Any,
        attempts: Any,
        backoff: Any,
        timeout: Any,
        final: Any,
        on_change: Any,
        usage: Callable[[Any], Usage] | None = None,
    ) -> StepOptions:
        """Return the options, if each is what it may be.

        Raises
        ------
        UsageError
            One of them is not.
        """
        check_schema(returns, "workflow", "returns")
        if on_change not in get_args(OnChange):
            raise refused(
                "on_change", "warn, fail or again", on_change, "workflow", "on_change='again'"
            )
        return cls(
            returns=returns,
            attempts=whole("attempts", attempts, service="workflow", most=MOST_ATTEMPTS),
            backoff=Backoff(seconds("backoff", backoff, service="workflow", zero=True)),
            timeout=None if timeout is None else seconds("timeout", timeout, service="workflow"),
            final=_errors(final),
            on_change=on_change,
            usage=usage,
        )

    def check_function(self, name: str, function: Any) -> None:
        """Refuse a time-out of a function that nothing can interrupt.

        Raises
        ------
        UsageError
            It is no coroutine function.
        """
        if self.timeout is None or inspect.iscoroutinefunction(inspect.unwrap(function)):
            return
        if inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004 - its kind
            return
        raise UsageError(
            f"timeout= of step {name!r} needs an async function: a thread cannot be interrupted",
            service="workflow",
            hint="make it async def, or give the agent a timeout=",
        )

    def pause(self, name: str, attempt: int, error: Exception) -> float | None:
        """Return the seconds until a step that failed is called again; None for never.

        Raises
        ------
        Final
            The error is one of those that are final.
        """
        if isinstance(error, _NEVER_AGAIN):
            return None
        if isinstance(error, self.final):
            raise Final(
                f"step {name!r}: {words_of(error)}",
                service="workflow",
                hint="mend the cause, then workflow.retry() (%workflow retry WORKFLOW)",
            ) from error
        return self.backoff.after(attempt) if attempt < self.attempts else None

    async def limited(self, name: str, awaitable: Awaitable[Any]) -> Any:
        """Await a step within its time-out.

        Raises
        ------
        DeadlineExceeded
            It took longer, and was cancelled.
        """
        try:
            async with asyncio.timeout(self.timeout) as limit:
                return await awaitable
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceeded(
                f"step {name!r} took longer than {self.timeout:g} s; it was cancelled",
                service="workflow",
                hint="ctx.with_options(timeout=) is more, or attempts= calls it again",
            ) from error


def _errors(given: Any) -> tuple[type[Exception], ...]:
    classes = given if isinstance(given, tuple | list) else (given,)
    if all(isinstance(one, type) and issubclass(one, Exception) for one in classes):
        return tuple(classes)
    raise refused("final", "classes of errors", given, "workflow", "final=(ValueError, KeyError)")


def fingerprint(args: tuple[Any, ...], options: dict[str, Any]) -> str:
    """Return a digest of the arguments of a step: the same for equal values in any process.

    A value without a JSON form counts by its class.

    >>> fingerprint((1, "a"), {}) == fingerprint((1, "a"), {}) != fingerprint((2, "a"), {})
    True
    """
    digest = hashlib.sha256()
    for name, value in (*enumerate(args), *sorted(options.items())):
        try:
            data, _ = encode(value)
        except NotJson:
            data = type(value).__qualname__.encode()
        digest.update(b"%s %d " % (str(name).encode(), len(data)))
        digest.update(data)
    return digest.hexdigest()[:32]
