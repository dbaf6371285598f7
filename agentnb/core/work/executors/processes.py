"""Worker processes of this host: fresh interpreters, each with one attempt at a time.

They stand on pebble's pool, which replaces a process that died and ends one that runs too long.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.context import SpawnContext, SpawnProcess
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from pebble import ProcessPool

from agentnb.core.background import BackgroundThread
from agentnb.core.work.executors.engine import AttemptExecutor
from agentnb.core.work.executors.far import prepare
from agentnb.core.work.executors.words import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = ["Processes"]

_SOON = 5.0  # seconds; a process that dies sooner is started again after ever longer pauses
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_LOOK_SECONDS = 0.5
_STARTING_SECONDS = 0.05
_REAP_SECONDS = 1.0
_LONGEST_BLOCK = 2.0  # of pebble's thread, which ends calls too
_READY_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1
_PID = 2  # of the fields of an identity


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
        self,
        number: int,
        *,
        settings: dict[str, Any],
        say: Callable[[str], object],
    ) -> None:
        self._number = number
        self._settings = settings
        self._say_line = say
        self._changed = threading.Condition()
        self._pool: ProcessPool | None = None
        self._context = _Fresh()
        self._closed = False
        self._died = 0
        self._reasons: dict[int, str] = {}
        # Also the thread that starts the first processes: the kernel takes it for their parent,
        # and they end with it.
        self._thread = BackgroundThread(self._keep, name="processes")
        self._thread.start()

    def __str__(self) -> str:
        return "1 process" if self._number == 1 else f"{self._number} {PROCESSES}"

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in one of the processes.

        Raises
        ------
        BrokenProcessPool
            No process could be started within half a minute, or they are shut down.
        """
        until = monotonic() + _READY_SECONDS
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or self._pool is not None, until - monotonic()
                )
                pool = self._pool
                if self._closed or pool is None:
                    raise BrokenProcessPool(
                        "they are shut down" if self._closed else "no process could be started"
                    )
            try:
                found: Future[Any] = pool.schedule(function, args=args, kwargs=kwargs)
            except RuntimeError:  # it broke meanwhile, and another one is made
                self._lose(pool)
                continue
            return found

    def end(self, future: Future[Any], by: str | None, reason: str) -> None:
        """Kill the process that runs a call; take back one that has not begun."""
        if by is not None and not future.done():
            pid = int(by.split("|")[_PID])
            if self._context.has(pid):
                self._reasons[pid] = reason
                if _is_stopped(pid):  # SIGTERM would wait for it to go on
                    _kill(pid)
        future.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as Executor
        """Kill the processes."""
        del wait, cancel_futures
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            pool, self._pool = self._pool, None
        self._context.kill_all()
        if pool is not None:
            _stop(pool)
        self._thread.stop()

    # The thread that looks after them

    def _keep(self) -> float | None:
        """Keep a pool that works, and say which processes have ended."""
        if self._closed:
            return None
        pool = self._pool
        if pool is None:
            return self._start()
        ended = self._context.ended(_LOOK_SECONDS)
        for process, seconds in ended:
            self._say(process, seconds)
        if not pool.active:
            self._lose(pool)
            return self._pause() if self._died else 0.0
        return 0.0

    def _start(self) -> float:
        pool = ProcessPool(
            max_workers=self._number,
            initializer=_begin,
            initargs=(os.getpid(), self._settings),
            context=self._context,
        )
        if not pool.active:  # which starts the processes
            return self._pause()
        with self._changed:
            if self._closed:
                _stop(pool)
                return 0.0
            self._pool = pool
            self._changed.notify_all()
        return 0.0

    def _lose(self, pool: ProcessPool) -> None:
        with self._changed:
            if self._pool is not pool:
                return
            self._pool = None
        self._context.kill_all()
        with suppress(Exception):  # it is broken: its threads end by themselves
            _stop(pool)
        self._thread.wake()

    def _pause(self) -> float:
        """Return the seconds before processes are started again, after one has died early."""
        return min(_FIRST_PAUSE * 2.0 ** max(self._died - 1, 0), _LONGEST_PAUSE)

    def _say(self, process: SpawnProcess, seconds: float) -> None:
        reason = self._reasons.pop(process.pid or 0, None)
        self._died = self._died + 1 if seconds < _SOON and reason is None else 0
        if self._closed:
            return
        pause = self._pause() if self._died else 0.0
        self._context.not_before = monotonic() + pause
        then = f"another starts in {pause:g} s" if pause else "another starts"
        self._say_line(f"process {process.pid} {_ending(process, reason)}; {then}")


class _Fresh(SpawnContext):
    """Starts processes afresh, and knows those that it has started."""

    def __init__(self) -> None:
        super().__init__()
        self.not_before = 0.0
        self._started: list[tuple[SpawnProcess, float]] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802 - its name
        """Make a process, which its caller starts."""
        pause = min(self.not_before - monotonic(), _LONGEST_BLOCK)
        if pause > 0:
            sleep(pause)
        process = SpawnProcess(*args, **options)
        self._started.append((process, monotonic()))
        return process

    def ended(self, seconds: float) -> list[tuple[SpawnProcess, float]]:
        """Wait for the end of processes, and return those with the seconds that each has run."""
        running = [one for one in self._started if one[0].pid is not None]
        sentinels = {one[0].sentinel: one for one in running}
        if not sentinels:
            sleep(_STARTING_SECONDS)
            return []
        found = [sentinels[one] for one in connection.wait(list(sentinels), seconds)]  # type: ignore[index]
        self._started = [one for one in self._started if one not in found]
        return [(process, monotonic() - began) for process, began in found]

    def kill_all(self) -> None:
        """Kill all processes, of which `ended` then says nothing."""
        started, self._started = self._started, []
        for process, _ in started:
            if process.pid is not None:
                _kill(process.pid)

    def has(self, pid: int) -> bool:
        """Return whether a process is one of these."""
        return any(process.pid == pid for process, _ in self._started)


def _stop(pool: Any) -> None:
    pool.stop()
    pool.join()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _ending(process: SpawnProcess, reason: str | None) -> str:
    if reason is not None:
        return f"ended, since {reason}"
    until = monotonic() + _REAP_SECONDS
    # None while another thread has reaped it and not yet noted with which code.
    while (code := process.exitcode) is None and monotonic() < until:
        sleep(_REAP_SECONDS / 100)
    if code is not None and code < 0:
        return f"was killed by signal {-code}"
    return f"ended with {code}"


def _begin(parent: int, settings: dict[str, Any]) -> None:
    """Prepare a process: for its death with its parent, and for the hub of its attempts."""
    os.setsid()
    # Killed at once, whatever code runs; pebble's own handler waits for the interpreter.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died before that
            os._exit(1)
    prepare(settings)


def _is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, so that it would not see SIGTERM."""
    with suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0] in {"T", "t"}
    return False
