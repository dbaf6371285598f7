"""The signals that stop a worker: one for an orderly end, two for an end at once."""

from __future__ import annotations

import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.background import run_in_thread
from agentnb.core.errors import UsageError
from agentnb.core.ranges import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.work.worker import Worker

__all__ = ["Signals", "run_until_stopped"]

_LOOK_SECONDS = 0.1

_STOPPING = (signal.SIGTERM, signal.SIGINT)
_entered: list[Signals] = []
_masks = threading.local()


class Signals:
    """Handles SIGTERM and SIGINT while it is entered, in the main thread.

    A forked child has the handlers from before: it could not be terminated with these, which only
    note the signal, and its note would wake the worker.

    Parameters
    ----------
    at_once
        Called at the second signal, with its number; must not return. Default: the process ends
        with 128 and the number.

    Attributes
    ----------
    received
        The number of the first signal, None before.
    """

    def __init__(self, at_once: Callable[[int], object] | None = None) -> None:
        self.received: int | None = None
        self._at_once = _exit if at_once is None else at_once
        self._before: dict[int, Any] = {}
        # A handler may run inside any lock of the main thread's, so it only writes to a pipe.
        self.woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._handle) for one in _STOPPING}
        _entered.append(self)
        return self

    def restore(self) -> None:
        """Set the handlers from before."""
        for number, before in self._before.items():
            signal.signal(number, before)

    def __exit__(self, *_: object) -> None:
        _entered.remove(self)
        self.restore()
        os.close(self.woken)
        os.close(self._wake)

    def _handle(self, number: int, frame: object) -> None:  # noqa: ARG002 - what a handler is given
        if self.received is not None:
            self._at_once(number)
        self.received = number
        os.write(self._wake, b".")

    def wait(self, seconds: float) -> bool:
        """Wait for a signal, and return whether one has come."""
        if self.received is None:
            select.select([self.woken], [], [], seconds)
        return self.received is not None


def _exit(number: int) -> None:
    os._exit(128 + number)


def run_until_stopped(workers: Sequence[Worker], grace: float, *, service: str) -> bool:
    """Wait for SIGTERM or SIGINT, and stop workers; a second signal ends the process.

    It returns as well once all of them were stopped by somebody else.

    Parameters
    ----------
    workers
        Workers that have been started.
    grace
        Seconds for what runs, for all workers together.
    service
        The service of errors.

    Returns
    -------
    bool
        Whether everything that ran ended by itself.

    Raises
    ------
    UsageError
        This is not the main thread, which alone is given signals.
    """
    grace = seconds("grace", grace, service=service, zero=True)
    if threading.current_thread() is not threading.main_thread():
        raise UsageError(
            "signals reach only the main thread, and this is another one",
            service=service,
            hint="call run() in the main thread; here, worker.stop() from wherever it shall end",
        )
    with Signals() as signals:
        while not signals.wait(_LOOK_SECONDS) and any(one.working for one in workers):
            pass
        stopping = [run_in_thread(one.stop, grace, name="stop") for one in workers]
        ended = [one.result() for one in stopping]
    return all(ended)


def _block() -> None:
    """Hold back the signals of a thread that forks, until its child has the handlers from before.

    A signal that comes in between would be noted by a handler that is not there any longer.
    """
    if _entered:
        _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)


def _unblock() -> None:
    mask = getattr(_masks, "before", None)
    if mask is not None:
        _masks.before = None
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _restore_in_child() -> None:
    while _entered:
        _entered.pop().restore()
    _unblock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_restore_in_child)
