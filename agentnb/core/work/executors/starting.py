"""The start of a worker process: a fresh interpreter in a pool of pebble's, which has it alone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import contextmanager, suppress
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pebble import ProcessPool

from agentnb.core.forking import new_lock
from agentnb.core.work.executors.far import prepare
from agentnb.core.work.executors.pipes import Ends, Pipes, serve
from agentnb.core.work.identity import new_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WorkerProcess"]

_PR_SET_PDEATHSIG = 1
_SAFE_PATH = "PYTHONSAFEPATH"
_starting = new_lock()


class WorkerProcess:
    """A process that has started, in its pool.

    Its one call of the pool lasts as long as it does: the calls of attempts come by pipes.

    Parameters
    ----------
    settings
        The settings of the hub that it makes, by name.

    Attributes
    ----------
    pipes
        Its calls and answers.
    pid
        Its id.
    identity
        The same for others, as `new_owner` makes it.

    Raises
    ------
    OSError
        No process can be started.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        context = _Once()
        self.pipes = Pipes(context)
        ends = self.pipes.far
        try:
            self._pool = ProcessPool(
                max_workers=1,
                initializer=_begin,
                initargs=(os.getpid(), os.environ.get(_SAFE_PATH), settings, ends),
                context=context,
            )
            active = self._pool.active  # which starts it
        finally:
            ends.close()  # so that a pipe ends with the process
        if not active or context.process is None or context.process.pid is None:
            raise OSError("no process can be started")
        self._process = context.process
        self.pid: int = context.process.pid
        self.identity = new_owner(self.pid)
        self._end: int | None = None
        with suppress(AttributeError, OSError):  # not Linux, or one that is old
            self._end = os.pidfd_open(self.pid)
        with suppress(RuntimeError):  # it has died already
            self._pool.schedule(_serve)

    @property
    def sentinel(self) -> int:
        """The number of a file that can be read once it has ended."""
        # That of multiprocessing is held open by what the process has forked.
        return self._process.sentinel if self._end is None else self._end

    @property
    def exitcode(self) -> int | None:
        """The exit code; None while another thread reaps it."""
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it at once."""
        with suppress(OSError):  # it has ended
            if self._end is None:
                os.kill(self.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._end, signal.SIGKILL)

    def clear(self) -> None:
        """Give up the pool of a process that has ended or was killed; this takes a moment."""
        end, self._end = self._end, None
        if end is not None:
            os.close(end)
        pool: Any = self._pool
        pool.stop()
        pool.join()


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


_ends: list[Ends] = []
"""Those of this process, as its pool starts it."""


def _begin(parent: int, safe_path: str | None, settings: dict[str, Any], ends: Ends) -> None:
    """Prepare a process: for its death with its parent, and for the hub of its attempts."""
    _set_safe_path(safe_path)  # what an attempt starts is the user's
    os.setsid()
    # Not pebble's handler: what an attempt forks has to end by SIGTERM as usual.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died before that
            os._exit(1)
    prepare(settings, on_begin=ends.begin)
    _ends.append(ends)


def _serve() -> None:
    """Run the calls that come by the pipes of this process, as long as its parent lives."""
    serve(_ends[0])
