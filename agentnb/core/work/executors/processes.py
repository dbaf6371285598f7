"""Worker processes of this host: fresh interpreters, each with one attempt at a time.

Each stands on a pool of pebble's with one process. In a pool of several, one that is killed while
it takes a call or returns a result would keep the locks that the others need.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import connection
from multiprocessing.context import SpawnContext, SpawnProcess
from time import monotonic, sleep
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from pebble import ProcessExpired, ProcessPool

from agentnb.core.background import BackgroundThread, run_in_thread
from agentnb.core.work.executors.engine import AttemptExecutor
from agentnb.core.work.executors.far import prepare
from agentnb.core.work.executors.words import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Processes"]

_SOON = 5.0  # seconds; a process that dies sooner is started again after ever longer pauses
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_LOOK_SECONDS = 0.5
_REAP_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_SAFE_PATH = "PYTHONSAFEPATH"
_starting = threading.Lock()
_DEATHS = (ProcessExpired, BrokenProcessPool)


class _Call(NamedTuple):
    """A call, and the future that its caller has."""

    future: Future[Any]
    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]


class _Slot:
    """A slot for one process.

    Attributes
    ----------
    pool, process
        The process in its pool; None while there is none.
    call, inner
        The call that it was given, and the pool's future of it.
    reason
        Why it was killed on purpose; empty if it was not.
    next
        When the next process may be started, of the monotonic clock.
    """

    def __init__(self) -> None:
        self.pool: ProcessPool | None = None
        self.process: SpawnProcess | None = None
        self.call: _Call | None = None
        self.inner: Future[Any] | None = None
        self.reason = ""
        self.next = 0.0
        self._since = 0.0
        self._died = 0

    @property
    def has_begun(self) -> bool:
        """Whether the process has taken its call, as far as that is known."""
        return self.inner is None or self.inner.running() or self.inner.done()

    def fill(self, settings: dict[str, Any]) -> None:
        """Start a process."""
        context = _Once()
        pool = ProcessPool(
            max_workers=1,
            initializer=_begin,
            initargs=(os.getpid(), os.environ.get(_SAFE_PATH), settings),
            context=context,
        )
        self._since = monotonic()
        if not pool.active or context.process is None:  # which starts it
            raise OSError("no process can be started")
        self.pool, self.process = pool, context.process

    def vacate(self) -> float:
        """Note the end of its process, and return in how many seconds there is a new one."""
        now = monotonic()
        expected = bool(self.reason) or now - self._since > _SOON
        self._died = 0 if expected else self._died + 1
        pause = min(_FIRST_PAUSE * 2.0 ** (self._died - 1), _LONGEST_PAUSE) if self._died else 0.0
        self.next = now + pause
        self.pool = self.process = self.call = self.inner = None
        self.reason = ""
        return pause

    def kill(self, reason: str) -> None:
        """Kill its process at once."""
        self.reason = reason
        if self.process is not None and self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)


class Processes(AttemptExecutor):
    """Runs calls in processes, and kills those whose outcome no longer counts.

    Each process has a session of its own, so that Ctrl-C reaches it only through the worker, and
    is killed with its parent. It is started afresh, never forked.

    Parameters
    ----------
    number
        How many there are.
    settings
        The settings of the hub that they make, by name; they win over the environment.
    say
        Given a line about a process that has ended.
    """

    consequence = "its process was killed"

    def __init__(
        self, number: int, *, settings: dict[str, Any], say: Callable[[str], object]
    ) -> None:
        self._settings = settings
        self._say = say
        self._lock = threading.Lock()
        self._waiting: deque[_Call] = deque()
        self._slots = [_Slot() for _ in range(number)]
        self._closed = False
        # It starts the processes: the kernel takes a thread for their parent, whose end is theirs.
        self._thread = BackgroundThread(self._keep, name="processes")
        self._thread.start()

    def __str__(self) -> str:
        number = len(self._slots)
        return "1 process" if number == 1 else f"{number} {PROCESSES}"

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in one of the processes.

        Raises
        ------
        BrokenProcessPool
            They are shut down.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise BrokenProcessPool("the processes are shut down")
            self._waiting.append(_Call(future, function, args, kwargs))
        self._dispatch()
        return future

    def end(self, future: Future[Any], by: str | None, reason: str) -> None:
        """Kill the process that runs a call; take back one that no process has."""
        del by
        with self._lock:
            for slot in self._slots:
                if slot.call is not None and slot.call.future is future and not future.done():
                    slot.kill(reason)
                    return
            self._waiting = deque(call for call in self._waiting if call.future is not future)
        future.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as Executor
        """Kill the processes."""
        del wait, cancel_futures
        with self._lock:
            self._closed = True
            calls = [slot.call for slot in self._slots if slot.call is not None]
            pools = [slot.pool for slot in self._slots if slot.pool is not None]
            calls += self._waiting
            self._waiting.clear()
            for slot in self._slots:
                slot.kill("the worker stops")
        self._thread.stop(_CLOSE_SECONDS)
        for call in calls:
            _fail(call, "the processes are shut down")
        until = monotonic() + _CLOSE_SECONDS
        for ending in [run_in_thread(_stop, pool, name="pool") for pool in pools]:
            with suppress(Exception):
                ending.result(max(until - monotonic(), 0.0))

    def _dispatch(self) -> None:
        """Give calls that wait to processes that are free."""
        given = []
        with self._lock:
            for slot in self._slots:
                if not self._waiting:
                    break
                if slot.pool is None or slot.call is not None:
                    continue
                call = self._waiting.popleft()
                try:
                    inner = slot.pool.schedule(call.function, args=call.args, kwargs=call.options)
                except RuntimeError:  # its process has just died, and is found soon
                    self._waiting.appendleft(call)
                    continue
                slot.call, slot.inner = call, inner
                given.append((inner, slot, call))
        for inner, slot, call in given:  # the answer may be there, and takes the lock
            inner.add_done_callback(partial(self._answered, slot, call))

    def _answered(self, slot: _Slot, call: _Call, inner: Future[Any]) -> None:
        """Pass an answer on, and free the process; of one that has died `_keep` learns itself."""
        if inner.cancelled() or isinstance(error := inner.exception(), _DEATHS):
            return
        with self._lock:
            if slot.call is call:
                slot.call = None
        with suppress(Exception):  # it was cancelled
            call.future.set_exception(error) if error else call.future.set_result(inner.result())
        if self._waiting:
            self._dispatch()

    # The thread that looks after the processes

    def _keep(self) -> float | None:
        """Start processes where there are none, and wait for the end of one."""
        if self._closed:
            return None
        wait = _LOOK_SECONDS
        for slot in self._slots:
            if slot.process is None:
                wait = min(wait, self._fill(slot))
        running = {slot.process.sentinel: slot for slot in self._slots if slot.process is not None}
        if not running:
            return wait
        for sentinel in connection.wait(list(running), wait):
            self._reap(running[sentinel])  # type: ignore[index]
        return 0.0

    def _fill(self, slot: _Slot) -> float:
        """Start a process if it is time, and return the seconds until then."""
        left = slot.next - monotonic()
        if left > 0:
            return left
        with self._lock:
            if self._closed:
                return _LOOK_SECONDS
            slot.fill(self._settings)
        self._dispatch()
        return _LOOK_SECONDS

    def _reap(self, slot: _Slot) -> None:
        with self._lock:
            process, pool, call = slot.process, slot.pool, slot.call
            if process is None:
                return
            ending = _ending(process, slot.reason)
            if call is not None and not slot.reason and not slot.has_begun and not self._closed:
                self._waiting.appendleft(call)  # it died before it had taken it
                call = None
            pause = slot.vacate()
        then = f"another starts in {pause:g} s" if pause else "another starts"
        if not self._closed:
            self._say(f"process {process.pid} {ending}; {then}")
        if call is not None:
            _fail(call, f"process {process.pid} {ending}")
        run_in_thread(_stop, pool, name="pool")


class _Once(SpawnContext):
    """Starts one process, afresh: when it has died, its pool is given up."""

    def __init__(self) -> None:
        super().__init__()
        self.process: SpawnProcess | None = None

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802 - its name
        """Make the process, which its caller starts."""
        if self.process is not None:
            raise OSError("the process has died")
        self.process = _Fresh(*args, **options)
        return self.process


class _Fresh(SpawnProcess):
    """A process that does not run the script of its parent again, as others do.

    No attempt needs what is in there: its function is one of a module. So a script may start a
    worker without the usual check of ``__name__``.
    """

    def start(self) -> None:
        """Start the process."""
        with _starting, _safe_path():
            main = sys.modules["__main__"]
            # What a kernel has there is no file, and so is never run.
            if hasattr(main, "__file__") or getattr(main, "__spec__", None) is not None:
                sys.modules["__main__"] = ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = main


@contextmanager
def _safe_path() -> Iterator[None]:
    """Let the Pythons that are started add no folder of theirs to ``sys.path``.

    multiprocessing gives them the parent's path a little later, after its own first imports.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        _set_safe_path(before)


def _set_safe_path(value: str | None) -> None:
    if value is None:
        os.environ.pop(_SAFE_PATH, None)
    else:
        os.environ[_SAFE_PATH] = value


def _fail(call: _Call, why: str) -> None:
    with suppress(Exception):  # it has been cancelled
        call.future.set_exception(BrokenProcessPool(why))


def _stop(pool: Any) -> None:
    pool.stop()
    pool.join()


def _ending(process: SpawnProcess, reason: str) -> str:
    if reason:
        return f"ended, since {reason}"
    until = monotonic() + _REAP_SECONDS
    # None while another thread has reaped it and not yet noted with which code.
    while (code := process.exitcode) is None and monotonic() < until:
        sleep(_REAP_SECONDS / 100)
    return (
        f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
    )


def _begin(parent: int, safe_path: str | None, settings: dict[str, Any]) -> None:
    """Prepare a process: for its death with its parent, and for the hub of its attempts."""
    _set_safe_path(safe_path)  # what an attempt starts is the user's
    os.setsid()
    # Not pebble's handler: what an attempt forks has to end by SIGTERM as usual.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died before that
            os._exit(1)
    prepare(settings)
