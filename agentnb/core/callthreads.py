"""Threads for awaited calls: a few for each service, however many calls are awaited."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from weakref import WeakValueDictionary

from agentnb.core.background import run_in_thread
from agentnb.core.forking import ForkGuard, new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AwaitedCall", "CallThreads", "current_call", "to_end"]

P = ParamSpec("P")
T = TypeVar("T")

_LINGER_SECONDS = 5.0
_UNDO_AGAIN = 0.5


class AwaitedCall:
    """An awaited call, as the function sees it that runs in a thread on its behalf.

    Attributes
    ----------
    service
        The name of the threads that it runs in.
    began
        The time of `time.monotonic` at which it was made.
    cancelled
        Whether its caller was cancelled.
    thread, task
        The thread and the asyncio task of its caller.
    ended
        Whether the function has ended.
    """

    __slots__ = ("_stops", "began", "cancelled", "ended", "service", "task", "thread")

    def __init__(self, service: str) -> None:
        self.service = service
        self.began = monotonic()
        self.cancelled = self.ended = False
        self.thread = threading.get_ident()
        self.task: Any = asyncio.current_task()
        self._stops: list[Callable[[], object]] = []

    def add_stop(self, stop: Callable[[], object]) -> None:
        """Have this called on the event loop when the caller is cancelled; it must not block."""
        self._stops.append(stop)
        if self.cancelled:
            stop()

    def remove_stop(self, stop: Callable[[], object]) -> None:
        """Forget what `add_stop` was given."""
        self._stops.remove(stop)

    def cancel(self) -> None:
        """Note that the caller was cancelled, and stop what can be stopped."""
        self.cancelled = True
        for stop in list(self._stops):
            stop()


_CALL: contextvars.ContextVar[AwaitedCall | None] = contextvars.ContextVar(
    "agentnb.call", default=None
)


def current_call(service: str | None = None) -> AwaitedCall | None:
    """Return the awaited call on whose behalf this code runs; None for a synchronous one.

    Parameters
    ----------
    service
        Only one that runs in the threads of this name. What another service calls is not
        cancelled with its caller: the loader of a cached value, for example, has others that
        wait for it.
    """
    call = _CALL.get()
    # What a call has started, such as a thread, inherits its context and outlives it.
    if call is None or call.ended or service not in {None, call.service}:
        return None
    return call


class CallThreads:
    """Runs the synchronous calls of a service for callers that await them.

    The threads are daemons, start when there is work, and end 5 s after the last call. The
    calls of one event loop that end at about the same time wake it once.

    asyncio's default executor is not used: it has a few threads for the whole process, which the
    user's own `asyncio.to_thread` needs as well.

    Parameters
    ----------
    name
        Name of the threads, behind ``agentnb-``.
    limit
        How many calls run at once; the others wait for their turn.
    finish
        Whether a caller that is cancelled waits for the end of a call that has begun, unless
        `run` is told otherwise.

    Examples
    --------
    >>> threads = CallThreads("example", limit=2)
    >>> async def powers():
    ...     return await asyncio.gather(*[threads.call(pow, 2, n) for n in range(4)])
    >>> asyncio.run(powers()), threads.count <= 2
    ([1, 2, 4, 8], True)
    """

    shortens = True
    """Whether a twin takes the time that its call waited for a thread off its ``timeout``."""

    def __init__(self, name: str, limit: int, *, finish: bool = False) -> None:
        self._name = name
        self._limit = limit
        self._finish = finish
        self._fork = ForkGuard()
        self._reset()

    def _reset(self) -> None:
        self._lock = new_lock()
        self._waiting: deque[_Call] = deque()
        self._signals: SimpleQueue[None] = SimpleQueue()
        # By the loop's id: a mailbox is kept by its calls, and these keep the loop.
        self._mailboxes: WeakValueDictionary[int, _Mailbox] = WeakValueDictionary()
        self._idle = self._threads = 0
        self._linger = _LINGER_SECONDS

    @property
    def count(self) -> int:
        """Return how many threads there are now."""
        return 0 if self._fork.forked else self._threads

    def late(self, seconds: float) -> BaseException:
        """Return the error of a call that waited for a thread until its time-out.

        Parameters
        ----------
        seconds
            The time-out.
        """
        from agentnb.core.errors import DeadlineExceeded

        return DeadlineExceeded(
            f"timed out after {seconds:g} s waiting for other calls to end ({self._limit} at once)",
            service=self._name,
            hint="await fewer calls at once, or give more time: timeout=",
        )

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Await a function; it runs in a thread, in the caller's context.

        A cancelled call that has not begun is dropped; one that has begun goes on by itself.
        """
        return await self.run(partial(function, *args, **kwargs))

    async def run(
        self,
        function: Callable[[], T],
        *,
        until: float | None = None,
        late: Callable[[], BaseException] | None = None,
        abandon: bool = False,
        undo: Callable[[], object] | None = None,
        finish: bool | None = None,
    ) -> T:
        """Await a function that takes no arguments.

        Parameters
        ----------
        function
            The function.
        until
            The time of `time.monotonic` up to which the function must have begun. From then on
            it holds its deadline by itself.
        late
            Makes the error of a function that has not begun by then; default: a TimeoutError.
        abandon
            Whether `until` is the end of the wait for a function that has begun, too; it goes on
            by itself.
        undo
            Called in a thread of its own if the caller is cancelled once the function has begun,
            and makes it return; the caller waits for that. Called again after a function that
            succeeded nevertheless.
        finish
            Whether a caller that is cancelled waits for the end of a function that has begun;
            default: as the constructor was told.
        """
        loop = asyncio.get_running_loop()
        call = _Call(function, loop.create_future(), self._name)
        timer = None
        late = late or TimeoutError
        if (not self._submit(call, loop) or abandon) and until is not None:
            timer = loop.call_later(until - monotonic(), self._expire, call, late, abandon)
        try:
            return cast("T", await call.future)
        except asyncio.CancelledError:
            if not self._withdraw(call):
                call.awaited.cancel()
                if undo is not None:
                    await _undone(call, undo)
                elif self._finish if finish is None else finish:
                    await to_end(call.watched())
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _submit(self, call: _Call, loop: asyncio.AbstractEventLoop) -> bool:
        """Hand a call to the threads, and return whether one of them takes it at once."""
        if self._fork.forked:  # a forked child has none of these threads
            self._fork.reset()
            self._reset()
        with self._lock:
            mailbox = self._mailboxes.get(id(loop))
            if mailbox is None:
                mailbox = self._mailboxes[id(loop)] = _Mailbox()
            call.mailbox = mailbox
            self._waiting.append(call)
            self._linger = _LINGER_SECONDS  # after `close`, the next call opens again
            if self._idle:
                self._idle -= 1
                self._signals.put(None)
                return True
            if self._threads >= self._limit:
                return False
            self._threads += 1
        try:
            threading.Thread(target=self._work, name=f"agentnb-{self._name}", daemon=True).start()
        except BaseException:
            with self._lock:
                self._threads -= 1
            self._withdraw(call)
            raise
        return True

    def _withdraw(self, call: _Call) -> bool:
        """Drop a call that has not begun, and return whether it had not."""
        with self._lock:
            if call.begun:
                return False
            call.begun = True
            with suppress(ValueError):
                self._waiting.remove(call)
            return True

    def _expire(
        self,
        call: _Call,
        late: Callable[[], BaseException],
        abandon: bool,  # noqa: FBT001 - of a timer, which takes no keywords
    ) -> None:
        if (self._withdraw(call) or abandon) and not call.future.done():
            call.future.set_exception(late())

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call.run()
            del call  # nothing is kept while the thread waits

    def _next(self) -> _Call | None:
        """Return the next call; None once there was none for some time."""
        while True:
            with self._lock:
                if self._waiting:
                    call = self._waiting.popleft()
                    call.begun = True
                    return call
                self._idle += 1
            if not self._signalled():
                return None

    def _signalled(self) -> bool:
        """Wait for a call, and return whether there is one."""
        while True:
            try:
                self._signals.get(timeout=self._linger)
            except Empty:
                with self._lock:
                    if self._signals.empty():
                        self._idle -= 1
                        self._threads -= 1
                        return False
            else:
                return True

    def close(self) -> None:
        """Let the threads end after the calls that are under way or wait.

        A later call starts a thread again.
        """
        if self._fork.forked:
            return
        with self._lock:
            self._linger = 0.0
            for _ in range(self._idle):
                self._signals.put(None)
            self._idle = 0


class _Call:
    """A call that is awaited."""

    __slots__ = (
        *("_context", "_end", "_error", "_function", "_result", "_succeeded"),
        *("awaited", "begun", "future", "mailbox"),
    )

    mailbox: _Mailbox

    def __init__(
        self, function: Callable[[], Any], future: asyncio.Future[Any], service: str
    ) -> None:
        self.future = future
        self.awaited = AwaitedCall(service)
        self.begun = False
        self._function: Callable[[], Any] | None = function
        self._context = contextvars.copy_context()
        self._result: Any = None
        self._error: BaseException | None = None
        self._succeeded: bool | None = None
        self._end: asyncio.Future[bool] | None = None

    def run(self) -> None:
        """Call the function, in a thread, and post its outcome."""
        function, self._function = cast("Callable[[], Any]", self._function), None
        try:
            self._result = self._context.run(self._called, function)
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            self._error = error
        del function
        self.mailbox.put(self)

    def _called(self, function: Callable[[], Any]) -> Any:
        _CALL.set(self.awaited)
        try:
            return function()
        finally:
            self.awaited.ended = True

    def watched(self) -> asyncio.Future[bool]:
        """Return the future of the end of a call whose caller was cancelled; it says success."""
        if self._end is None:
            self._end = self.future.get_loop().create_future()
            if self._succeeded is not None:  # delivered, yet the caller had not seen it
                self._end.set_result(self._succeeded)
        return self._end

    def deliver(self) -> None:
        """Give the outcome to the caller, on its event loop."""
        result, error = self._result, self._error
        self._result = self._error = None
        self._succeeded = error is None
        if self._end is not None and not self._end.done():
            self._end.set_result(self._succeeded)
        if self.future.done():
            return  # the caller was cancelled
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, StopIteration):  # which a future refuses
            failure = RuntimeError("the call raised StopIteration")
            failure.__cause__ = error
            self.future.set_exception(failure)
        else:
            self.future.set_exception(error)


class _Mailbox:
    """The calls of an event loop that have ended and were not delivered yet."""

    def __init__(self) -> None:
        self._ended: deque[_Call] = deque()
        self._announced = False

    def put(self, call: _Call) -> None:
        """Deliver an ended call soon; many of them wake the loop once."""
        self._ended.append(call)
        if self._announced:
            return
        self._announced = True
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            call.future.get_loop().call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._announced = False
        while self._ended:
            self._ended.popleft().deliver()


async def to_end(task: asyncio.Future[T]) -> T:
    """Await a future to its end: a cancellation is raised after that.

    Parameters
    ----------
    task
        A task or a future.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    raise cancelled from task.exception()


async def _undone(call: _Call, undo: Callable[[], object]) -> None:
    """Undo a call until it has ended, and once more if it succeeded."""
    end = call.watched()
    while not end.done():
        await asyncio.wrap_future(run_in_thread(undo, name="undo"))
        await asyncio.wait({end}, timeout=_UNDO_AGAIN)
    if end.result():
        await asyncio.wrap_future(run_in_thread(undo, name="undo"))
