"""What the engine asks of an executor, beyond `concurrent.futures.Executor`."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from agentnb.core.errors import ConfigError, UnavailableError
from agentnb.core.forking import new_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = ["AttemptExecutor", "BegunBy", "EventWaiter", "Plain", "Waiter", "attempt_executor"]

_CHECK_SECONDS = 60.0


class BegunBy(NamedTuple):
    """When an attempt was begun, of the monotonic clock, and the identity of its process."""

    at: float
    by: str


class Waiter(Protocol):
    """Lets one thread wait for the answer of a call, and others end that wait."""

    @property
    def begun(self) -> BegunBy | None:
        """The begin of the call's attempt; None if it has not begun, or nobody knows."""

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the answer, for `wake` or for some seconds; return early now and then."""

    def wake(self) -> None:
        """Let the thread that waits return, or the next one that comes."""


class EventWaiter:
    """A `Waiter` for the future of any executor."""

    begun = None

    def __init__(self, future: Future[Any]) -> None:
        self._woken = new_event()
        future.add_done_callback(lambda _: self._woken.set())

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the answer, for `wake` or for some seconds."""
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """Let the thread that waits return, or the next one that comes."""
        self._woken.set()


class AttemptExecutor(Executor):
    """An executor that can be checked, and can end a call that runs.

    Attributes
    ----------
    consequence
        The fate of a call that took too long, for the error of its attempt.
    exact
        Whether it runs no call twice, and its waiters know which attempts have begun. An attempt
        is then begun without a message to its store, which hears of it with the first sign of
        life.
    """

    consequence = "it may run on there; its outcome does not count"
    exact = False

    def check(self, function: Callable[..., str | None], *args: Any) -> None:
        """Call a function where calls run; it returns why they cannot, or None.

        Raises
        ------
        ConfigError
            Calls cannot run there.
        UnavailableError
            Nothing answers.
        """
        refused = _answer(self, function, *args)
        if refused is not None:
            raise _refusal(self, refused)

    def call(self, function: Callable[..., Any], *args: Any) -> tuple[Future[Any], Waiter]:
        """Submit a call whose answer the calling thread waits for, by the waiter."""
        future = self.submit(function, *args)
        return future, EventWaiter(future)

    def end(self, future: Future[Any], by: str | None, reason: str) -> None:
        """End a call whose outcome no longer counts, as far as that is possible.

        Parameters
        ----------
        future
            The call.
        by
            The identity of the process that began its attempt, None if none has.
        reason
            Why, for people.
        """
        del by, reason
        future.cancel()


class Plain(AttemptExecutor):
    """An executor of another maker.

    Parameters
    ----------
    executor
        The executor.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call by the executor."""
        return self._executor.submit(function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as Executor
        """Shut the executor down; a worker does so with its own."""
        self._executor.shutdown(wait, cancel_futures=cancel_futures)

    def __str__(self) -> str:
        return type(self._executor).__name__


def attempt_executor(executor: Executor) -> AttemptExecutor:
    """Return an executor with the methods of `AttemptExecutor`."""
    return executor if isinstance(executor, AttemptExecutor) else Plain(executor)


def _answer(executor: Executor, function: Callable[..., str | None], *args: Any) -> str | None:
    try:
        future = executor.submit(function, *args)
    except Exception as error:
        raise _refusal(executor, f"it takes no calls: {type(error).__name__}: {error}") from error
    try:
        return future.result(_CHECK_SECONDS)
    except TimeoutError as error:
        future.cancel()
        raise UnavailableError(
            f"the executor {executor} did not answer within {_CHECK_SECONDS:g} s",
            service="work",
            hint="are its processes running, and not all busy?",
        ) from error
    except Exception as error:
        raise _refusal(executor, f"{type(error).__name__}: {error}") from error


def _refusal(executor: Executor, why: str) -> ConfigError:
    return ConfigError(
        f"the executor {executor} cannot run this: {why}",
        service="work",
        hint="mend it there, and start the worker again; nothing was claimed",
    )
