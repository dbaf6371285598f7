"""Background threads: one that runs a function again and again, and one for a single call."""

from __future__ import annotations

import contextvars
import logging
import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.forking import ForkGuard, new_rlock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BackgroundThread", "run_in_thread"]

T = TypeVar("T")

_JOIN_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_logger = logging.getLogger("agentnb.background")


class BackgroundThread:
    """A daemon thread that runs a function when it is woken, and again after a pause.

    The first `wake` starts the thread. Calls of `wake` during a run become one more run after it.
    An unexpected error of the function is logged; the next run follows after 1 s, then 2, up to
    60. In a forked child, which has no threads, the next `wake` starts another.

    Parameters
    ----------
    run
        The function. Returns the seconds until its next run, or None to wait for `wake`.
    name
        Name of the thread, behind ``agentnb-``.
    log
        Logger of unexpected errors.
    delay
        Seconds between `wake` and the run, so that one run serves several calls.
    linger
        Seconds without work after which the thread ends; the next `wake` starts another. None
        keeps it until `stop`.

    Examples
    --------
    >>> done = threading.Event()
    >>> thread = BackgroundThread(done.set, name="example")
    >>> thread.wake()
    >>> done.wait(5), thread.stop(), thread.alive
    (True, True, False)
    """

    def __init__(
        self,
        run: Callable[[], float | None],
        *,
        name: str,
        log: logging.Logger | logging.LoggerAdapter[Any] = _logger,
        delay: float = 0.0,
        linger: float | None = None,
    ) -> None:
        self.name = f"agentnb-{name}"
        self._function = run
        self._log = log
        self._delay = delay
        self._linger = linger
        # Both are reentrant: the garbage collector may run meanwhile, and what it ends may wake.
        self._lock = new_rlock()
        self._signals: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._fork = ForkGuard()
        self._woken = self._stopped = self._finishes = False
        self._failures = 0

    @property
    def alive(self) -> bool:
        """Whether the thread runs in this process."""
        return self._thread is not None and not self._fork.forked and self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in this thread."""
        return threading.current_thread() is self._thread

    def resume(self) -> None:
        """Let `wake` have an effect again after `stop`."""
        with self._lock:
            self._stopped = self._finishes = False

    def start(self) -> None:
        """Wake the thread, also after `stop`."""
        self.resume()
        self.wake()

    def wake(self) -> None:
        """Run the function as soon as possible. Never waits; does nothing after `stop`."""
        if self._woken and not self._fork.forked:
            return  # the run that follows sees what the caller has done
        with self._lock:
            if self._stopped:
                return
            self._woken = True
            if not self.alive:
                self._begin()
            self._signals.put(None)

    def _begin(self) -> None:
        self._fork.reset()
        self._signals = SimpleQueue()  # a parent's thread may wait at the former one
        thread = threading.Thread(target=self._loop, name=self.name, daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter ends
            self._thread, self._woken = None, False
            self._log.debug("%s cannot start", self.name, exc_info=True)

    def pause(self, seconds: float) -> bool:
        """Wait within the function, and return whether to go on; False at once after `stop`."""
        until = monotonic() + seconds
        while not self._stopped and self._signalled(until):
            pass
        return not self._stopped

    def stop(self, timeout: float = _JOIN_SECONDS, *, finish: bool = False) -> bool:
        """Stop the thread after the run under way, and return whether it has ended.

        Parameters
        ----------
        timeout
            Seconds to wait for that run. The thread itself, and a forked child, do not wait.
        finish
            Whether a run that `wake` has asked for comes before the end.
        """
        with self._lock:
            self._stopped, self._finishes = True, finish
            thread = self._thread if self.alive else None
            self._signals.put(None)
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _loop(self) -> None:
        pause: float | None = None
        while self._next(pause):
            try:
                pause = self._function()
                self._failures = 0
            except Exception:  # noqa: BLE001 - logged, and the next run follows
                pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE)
                self._failures += 1
                level = logging.ERROR if self._failures == 1 else logging.DEBUG
                self._log.log(level, "%s failed, and tries again", self.name, exc_info=True)

    def _next(self, pause: float | None) -> bool:
        """Wait for the next run, and return whether there is one."""
        wait = self._linger if pause is None else pause
        until = None if wait is None else monotonic() + wait
        while not (self._woken or self._stopped) and self._signalled(until):
            pass
        if self._woken and self._delay:
            self.pause(self._delay)
        with self._lock:
            finish = self._stopped and self._finishes and self._woken
            if finish or (not self._stopped and (self._woken or pause is not None)):
                self._woken = False
                return True
            self._thread = None
            if self._stopped:
                self._woken = False
            elif self._woken:  # by what the garbage collector has just ended
                self._begin()
            return False

    def _signalled(self, until: float | None) -> bool:
        """Wait for a signal; False at the end of the time."""
        left = None if until is None else until - monotonic()
        if left is not None and left <= 0:
            return False
        try:
            self._signals.get(timeout=left)
        except Empty:
            return False
        return True


def run_in_thread(
    function: Callable[..., T],
    *args: Any,
    name: str,
    log: logging.Logger | logging.LoggerAdapter[Any] | None = None,
) -> Future[T]:
    """Call a function in a daemon thread of its own, in the caller's context.

    Parameters
    ----------
    function, args
        The function and its arguments.
    name
        Name of the thread, behind ``agentnb-``.
    log
        Logger of an error of the call.

    Returns
    -------
    Future
        The outcome. Cancelling it has an effect until the thread has begun.

    Examples
    --------
    >>> run_in_thread(pow, 2, 5, name="example").result(5)
    32
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(context.run(function, *args))
        except BaseException as error:
            if log is not None:
                log.exception("agentnb-%s failed", name)
            future.set_exception(error)

    threading.Thread(target=run, name=f"agentnb-{name}", daemon=True).start()
    return future
