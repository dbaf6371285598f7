"""The one thread of a panel: it refreshes when asked and when the time has come."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from agentnb.core.background import BackgroundThread
from agentnb.core.forking import new_condition

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Refresher"]

_log = logging.getLogger("agentnb.panels")

_RETRY_FROM, _RETRY_TO = 5.0, 60.0


class Refresher:
    """Runs one callable in one thread: on request, and every few seconds.

    Requests made while it runs become one more run after it. An exception is handed to `report`
    and the next run is tried later, at longer and longer distances up to 60 s.

    Parameters
    ----------
    work
        The function to run. It may be slow: no caller waits for it.
    report
        Called after each run, in the thread, with the exception or None.
    every
        Seconds from the end of one run to the start of the next. None: on request only.
    due
        Called before each periodic run, in the thread; False parks it. By default always True.
    name
        Name of the thread, behind ``agentnb-``.

    Examples
    --------
    >>> import threading
    >>> done = threading.Event()
    >>> refresher = Refresher(done.set, report=lambda error: None)
    >>> refresher.ask()
    >>> done.wait(5), refresher.stop()
    (True, None)
    """

    def __init__(
        self,
        work: Callable[[], None],
        *,
        report: Callable[[Exception | None], None],
        every: float | None = None,
        due: Callable[[], bool] = lambda: True,
        name: str = "panel",
    ) -> None:
        self._work, self._report, self._due = work, report, due
        self._every = every
        self._thread = BackgroundThread(self._run, name=name, log=_log)
        self._change = new_condition()
        self._asked = self._paused = self._parked = False
        self._begun = self._runs = self._failures = 0
        self._next: float | None = None

    @property
    def paused(self) -> bool:
        """Whether the periodic runs are suspended by the user."""
        return self._paused

    @property
    def parked(self) -> bool:
        """Whether the periodic runs are suspended because no view is visible."""
        return self._parked

    @property
    def begun(self) -> int:
        """How many runs have begun: what is true before the next one begins is seen by it."""
        return self._begun

    @property
    def runs(self) -> int:
        """How many runs have ended, well or not."""
        return self._runs

    @property
    def alive(self) -> bool:
        """Whether the thread exists and has not ended."""
        return self._thread.alive

    def pace(self, every: float | None) -> None:
        """Set the seconds between the periodic runs, from the end of the next run on."""
        self._every = every

    def ask(self) -> None:
        """Ask for a run as soon as possible, and start the thread if there is none."""
        self._asked = True
        self._thread.wake()

    def pause(self, paused: bool = True) -> None:  # noqa: FBT001, FBT002 - pause(), pause(False)
        """Suspend the periodic runs, or take them up again. A request is still answered."""
        self._paused = paused
        self._rouse()

    def park(self, parked: bool = True) -> None:  # noqa: FBT001, FBT002 - as pause
        """As `pause`, for want of a reader; the two are independent."""
        with self._change:  # else a run that finds no view overrides that one has come
            self._parked = parked
        self._rouse()

    def _rouse(self) -> None:
        if self._thread.alive:  # the first request starts it
            self._thread.wake()

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the first run to end; return whether it has."""
        with self._change:
            return self._change.wait_for(lambda: self._runs > 0 or self._thread.stopping, timeout)

    def stop(self) -> None:
        """Stop the thread. A run that is under way is left to end by itself. Idempotent."""
        # A fast run ends in this time; a slow one must not block the kernel.
        self._thread.stop(0.5)
        with self._change:
            self._change.notify_all()

    def _due_in(self) -> float | None:
        """Return the seconds until the next run, or None to wait for a request."""
        if self._asked:
            return 0.0
        if self._next is None or self._paused or self._parked:
            return None
        return max(0.0, self._next - time.monotonic())

    def _run(self) -> float | None:
        """Run if it is time, and return the seconds until the next time."""
        if self._due_in() != 0.0:
            return self._due_in()
        with self._change:
            if not self._asked and not self._due():
                self._parked = True
                return None
            self._asked = False
            self._begun += 1
        error: Exception | None = None
        try:
            self._work()
        except Exception as raised:  # noqa: BLE001 - any error of a service is shown and retried
            error = raised
        if self._thread.stopping:
            return None
        self._failures = self._failures + 1 if error else 0
        delay = self._delay()
        self._next = None if delay is None else time.monotonic() + delay
        try:
            self._report(error)
        except Exception:  # noqa: BLE001 - the way to the page is gone; so is the reader
            _log.debug("%s cannot report", self._thread.name, exc_info=True)
            self._thread.stop(0.0)
            return None
        with self._change:
            self._runs += 1
            self._change.notify_all()
        return self._due_in()

    def _delay(self) -> float | None:
        if not self._failures:
            return self._every
        first = self._every or _RETRY_FROM
        return max(first, min(_RETRY_TO, first * 2.0 ** min(self._failures - 1, 10)))
