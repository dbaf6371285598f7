"""Worker processes of this host: fresh interpreters, each with one attempt at a time.

Each has a pool of pebble's for itself. In a pool of several, one that is killed while it takes a
call or returns a result would keep the locks that the others need.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread, run_in_thread
from agentnb.core.forking import new_lock
from agentnb.core.work.executors.engine import AttemptExecutor, BegunBy
from agentnb.core.work.executors.far import finish
from agentnb.core.work.executors.pipes import Waker, pack, unpack
from agentnb.core.work.executors.starting import WorkerProcess
from agentnb.core.work.executors.words import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.work.executors.engine import Waiter

__all__ = ["Processes"]

_SOON = 5.0  # seconds; a process that dies sooner is started again after ever longer pauses
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_LOOK_SECONDS = 0.5
_REAP_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_FINISH_SECONDS = 3.0
_of_thread = threading.local()


class _Call:
    """A call as bytes, and the future that its caller has.

    Attributes
    ----------
    future, data
        Both.
    slot, process
        Those that it was given to; None while it waits for one.
    sent
        Whether it is in the pipe of that process.
    waker
        Wakes the thread that waits for its answer.
    """

    def __init__(self, data: bytes, waker: Waker) -> None:
        self.future: Future[Any] = Future()
        self.data = data
        self.slot: _Slot | None = None
        self.process: WorkerProcess | None = None
        self.sent = False
        self.waker = waker
        self.future.add_done_callback(lambda _: waker.wake())


class _Waiter:
    """Waits for the answer of a call, and reads it in the thread that waits.

    Another thread that reads would be woken for each answer, to wake this one.
    """

    def __init__(self, call: _Call, receive: Callable[[_Slot, WorkerProcess], object]) -> None:
        self._call = call
        self._receive = receive
        self.wake = call.waker.wake

    @property
    def begun(self) -> BegunBy | None:
        """The begin of the call's attempt; None if it has not begun."""
        process = self._call.process
        at = process.pipes.begun if process is not None and self._call.sent else None
        return None if process is None or at is None else BegunBy(at, process.identity)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the answer, for `wake` or for some seconds."""
        call = self._call
        slot, process = call.slot, call.process
        if slot is None or process is None:
            call.waker.wait(None, seconds)
        elif call.waker.wait(process.pipes, seconds):
            self._receive(slot, process)


class _Slot:
    """A slot for one process.

    Attributes
    ----------
    process
        The process; None while there is none.
    ready
        Whether it has said that it takes calls.
    call
        The call that it was given.
    reason
        Why it was killed on purpose; empty if it was not.
    next
        When the next process may be started, of the monotonic clock.
    """

    def __init__(self) -> None:
        self.process: WorkerProcess | None = None
        self.ready = False
        self.call: _Call | None = None
        self.reason = ""
        self.next = 0.0
        self._since = 0.0
        self._died = 0

    @property
    def has_begun(self) -> bool:
        """Whether the process has taken its call, as far as that is known."""
        call, process = self.call, self.process
        return call is not None and call.sent and process is not None and process.pipes.taken

    def fill(self, settings: dict[str, Any]) -> WorkerProcess:
        """Start a process."""
        self._since = monotonic()
        self.process = WorkerProcess(settings)
        return self.process

    def vacate(self) -> float:
        """Note the end of its process, and return in how many seconds there is a new one."""
        now = monotonic()
        expected = bool(self.reason) or now - self._since > _SOON
        self._died = 0 if expected else self._died + 1
        pause = min(_FIRST_PAUSE * 2.0 ** (self._died - 1), _LONGEST_PAUSE) if self._died else 0.0
        self.next = now + pause
        self.process = self.call = None
        self.ready = False
        self.reason = ""
        return pause

    def kill(self, reason: str) -> None:
        """Kill its process at once."""
        self.reason = reason
        if self.process is not None:
            self.process.kill()


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
    exact = True

    def __init__(
        self, number: int, *, settings: dict[str, Any], say: Callable[[str], object]
    ) -> None:
        self._settings = settings
        self._say = say
        self._lock = new_lock()
        self._waiting: deque[_Call] = deque()
        self._slots = [_Slot() for _ in range(number)]
        self._closed = False
        self._selector = DefaultSelector()
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
        call = _Call(pack(function, args, kwargs), Waker())
        self._add(call)
        run_in_thread(self._wait, call, name="call")
        return call.future

    def call(self, function: Callable[..., Any], *args: Any) -> tuple[Future[Any], Waiter]:
        """Submit a call whose answer the calling thread waits for, by the waiter."""
        call = _Call(pack(function, args, {}), _waker_of_thread())
        self._add(call)
        return call.future, _Waiter(call, self._receive)

    def _add(self, call: _Call) -> None:
        with self._lock:
            if self._closed:
                raise BrokenProcessPool("the processes are shut down")
            self._waiting.append(call)
        self._dispatch()

    def _wait(self, call: _Call) -> None:
        waiter = _Waiter(call, self._receive)
        while not call.future.done():
            waiter.wait()

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
        """Kill the processes; those that run nothing close their hubs first."""
        del wait, cancel_futures
        self._finish()
        with self._lock:
            self._closed = True
            calls = [slot.call for slot in self._slots if slot.call is not None]
            processes = [slot.process for slot in self._slots if slot.process is not None]
            calls += self._waiting
            self._waiting.clear()
            for slot in self._slots:
                slot.kill("the worker stops")
        if self._thread.stop(_CLOSE_SECONDS):
            self._selector.close()
        for call in calls:
            _fail(call, "the processes are shut down")
        until = monotonic() + _CLOSE_SECONDS
        for ending in [run_in_thread(one.clear, name="pool") for one in processes]:
            with suppress(Exception):
                ending.result(max(until - monotonic(), 0.0))

    def _finish(self) -> None:
        """Let the processes that run nothing close their hubs: spans wait in them."""
        calls = []
        with self._lock:
            for slot in self._slots:
                if slot.ready and slot.call is None and slot.process is not None:
                    call = slot.call = _Call(pack(finish, (), {}), Waker())
                    call.slot, call.process = slot, slot.process
                    calls.append(call)
        for call in calls:
            if call.process is not None:
                with suppress(OSError):  # it has just died
                    call.process.pipes.send(call.data)
                    call.sent = True
        until = monotonic() + _FINISH_SECONDS
        for call in calls:
            waiter = _Waiter(call, self._receive)
            while not call.future.done() and (left := until - monotonic()) > 0:
                waiter.wait(left)

    def _dispatch(self) -> None:
        """Give calls that wait to processes that are free."""
        while self._waiting:
            with self._lock:
                slot = next((one for one in self._slots if one.ready and one.call is None), None)
                if slot is None or slot.process is None or not self._waiting:
                    return
                call = slot.call = self._waiting.popleft()
                process = slot.process
                call.slot, call.process = slot, process
            try:
                # Without the lock: one that is large may take a while.
                process.pipes.send(call.data)
            except OSError:  # its process has just died, and is found soon
                self._take_back(slot, call)
            else:
                call.sent = True
                call.waker.wake()  # to wait for this process

    def _take_back(self, slot: _Slot, call: _Call) -> None:
        """Let a call wait again that its process cannot take, and give that process no other."""
        with self._lock:
            if slot.call is call:
                slot.call, slot.ready = None, False
                self._put_back(call)

    def _put_back(self, call: _Call) -> None:
        call.slot = call.process = None
        call.sent = False
        self._waiting.appendleft(call)
        call.waker.wake()

    # The thread that looks after the processes

    def _keep(self) -> float | None:
        """Start processes where there are none, and wait for answers and for the end of one."""
        if self._closed:
            return None
        wait = _LOOK_SECONDS
        for slot in self._slots:
            if slot.process is None:
                wait = min(wait, self._fill(slot))
        if not self._selector.get_map():
            return wait
        until = monotonic() + wait
        vacant = False
        while not (vacant or self._closed) and (left := until - monotonic()) > 0:
            for key, _ in self._selector.select(left):
                slot, process, ended = key.data
                if slot.process is not process:
                    continue  # it was reaped a moment ago
                self._receive(slot, process)
                if ended:
                    self._reap(slot, process)
                    vacant = True
                elif slot.ready or process.pipes.ended:
                    # From now on those who wait for its answers read them.
                    self._selector.unregister(process.pipes)
        return 0.0

    def _fill(self, slot: _Slot) -> float:
        """Start a process if it is time, and return the seconds until then."""
        left = slot.next - monotonic()
        if left > 0:
            return left
        with self._lock:
            if self._closed:
                return _LOOK_SECONDS
            process = slot.fill(self._settings)
        self._selector.register(process.pipes, EVENT_READ, (slot, process, False))
        self._selector.register(process.sentinel, EVENT_READ, (slot, process, True))
        return _LOOK_SECONDS

    def _receive(self, slot: _Slot, process: WorkerProcess) -> None:
        """Pass on what a process has answered, and free it."""
        with self._lock:
            if slot.process is not process or (data := process.pipes.receive()) is None:
                if process.pipes.ended:
                    process.kill()  # it ends, or can answer nobody
                return
            call, slot.call = slot.call, None
            slot.ready = True
        if call is not None:
            answer = unpack(data)
            with suppress(Exception):  # it was cancelled
                if answer.error is not None:
                    call.future.set_exception(answer.error)
                else:
                    call.future.set_result(answer.value)
        self._dispatch()

    def _reap(self, slot: _Slot, process: WorkerProcess) -> None:
        for file in (process.pipes, process.sentinel):
            with suppress(KeyError):
                self._selector.unregister(file)
        with self._lock:
            call = slot.call
            ending = _ending(process, slot.reason)
            if call is not None and not slot.reason and not slot.has_begun and not self._closed:
                self._put_back(call)  # it died before it had taken it
                call = None
            pause = slot.vacate()
        then = f"another starts in {pause:g} s" if pause else "another starts"
        if not self._closed:
            self._say(f"process {process.pid} {ending}; {then}")
        if call is not None:
            _fail(call, f"process {process.pid} {ending}")
        run_in_thread(process.clear, name="pool")


def _waker_of_thread() -> Waker:
    """Return the waker of this thread, for as long as it lives."""
    found: Waker | None = getattr(_of_thread, "waker", None)
    if found is None:
        found = _of_thread.waker = Waker(threading.get_ident())
    return found


def _fail(call: _Call, why: str) -> None:
    with suppress(Exception):  # it has been cancelled
        call.future.set_exception(BrokenProcessPool(why))


def _ending(process: WorkerProcess, reason: str) -> str:
    if reason:
        return f"ended, since {reason}"
    until = monotonic() + _REAP_SECONDS
    # None while another thread has reaped it and not yet noted with which code.
    while (code := process.exitcode) is None and monotonic() < until:
        sleep(_REAP_SECONDS / 100)
    return (
        f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
    )
