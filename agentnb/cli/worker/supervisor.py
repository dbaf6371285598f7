"""Supervised worker processes: started, read from, ended, and started again."""

from __future__ import annotations

import os
import selectors
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.cli.worker.child import Child
from agentnb.cli.worker.draining import Draining
from agentnb.cli.worker.sources import say_sources
from agentnb.core.work.stopping import Signals
from agentnb.core.work.threads import KILLED

if TYPE_CHECKING:
    import argparse

    from agentnb.cli.worker.apps import Apps
    from agentnb.cli.worker.show import Screen
    from agentnb.cli.worker.sources import Source
    from agentnb.core.hub import Hub

__all__ = ["supervise"]

_LOOK = 0.1
_WRONG = 2  # the exit code of a call or a setting that is wrong
_STARTING = 60.0
_SOON = 5.0  # seconds; a process that dies sooner is started again after ever longer pauses
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_AFTER_GRACE = 5.0


class _Slot:
    """A slot for one process."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.child: Child | None = None
        self.since = 0.0
        self.next = 0.0
        self._died = 0

    def vacate(self, now: float, *, expected: bool) -> float:
        """Note the end of its process, and return in how many seconds there is a new one."""
        self.child = None
        self._died = 0 if expected or now - self.since > _SOON else self._died + 1
        pause = min(_FIRST_PAUSE * 2.0 ** (self._died - 1), _LONGEST_PAUSE) if self._died else 0.0
        self.next = now + pause
        return pause


class _Supervisor:
    """Supervises the processes of a worker.

    Parameters
    ----------
    sources
        The queues, whose processors have been found to be there.
    options
        Those of the command line.
    lease
        Seconds; a process that is silent for longer has lost its job, and is killed.
    screen
        Where is shown what they do.
    """

    def __init__(
        self, sources: list[Source], options: argparse.Namespace, lease: float, screen: Screen
    ) -> None:
        self._options = options
        self._silent = max(lease, 2.0)
        self._screen = screen
        self._selector = selectors.DefaultSelector()
        self._slots = [
            _Slot(source.queue) for source in sources for _ in range(options.concurrency)
        ]
        self._stopping = False
        self.code = 0

    @property
    def children(self) -> list[Child]:
        """The processes that run."""
        return [slot.child for slot in self._slots if slot.child is not None]

    def end_at_once(self, number: int) -> None:
        """Kill the processes, and end this one."""
        for child in self.children:
            child.kill()
        os._exit(128 + number)

    def listen_to(self, pipe: int) -> None:
        """Be woken by another pipe as well."""
        self._selector.register(pipe, selectors.EVENT_READ)

    def round(self) -> None:
        """Read from the processes, reap the dead, kill the silent, and fill the empty slots."""
        for key, _ in self._selector.select(_LOOK):
            if key.data is not None:
                self._read(key.data)
        for slot in self._slots:
            if slot.child is None:
                self._fill(slot)
            elif slot.child.code is not None:
                self._reap(slot, slot.child)
            else:
                self._check_liveness(slot.child)

    def _read(self, child: Child) -> None:
        for outcome, line in child.read():
            self._screen.tell(outcome, line)

    def _fill(self, slot: _Slot) -> None:
        now = monotonic()
        if self._stopping or now < slot.next:
            return
        slot.since = now
        slot.child = Child(slot.queue, self._options)
        self._selector.register(slot.child.pipe, selectors.EVENT_READ, slot.child)

    def _reap(self, slot: _Slot, child: Child) -> None:
        self._read(child)
        self._selector.unregister(child.pipe)
        child.close()
        code = child.code
        pause = slot.vacate(monotonic(), expected=code == KILLED)
        if self._stopping:
            return
        if code == _WRONG:
            self.code = _WRONG
            self.stop()
            return
        then = f"another starts in {pause:g} s" if pause else "another starts"
        self._screen.say(f"{child.queue}  process {child.pid} {_ended(code)}; {then}")

    def _check_liveness(self, child: Child) -> None:
        silent = child.silent_for
        limit = self._silent if child.has_written else _STARTING
        if silent <= limit or child.killed:
            return
        # This process itself may have slept, before or after it last read: what was written
        # meanwhile is still in the pipe.
        self._read(child)
        if child.silent_for >= silent:
            self._screen.say(
                f"{child.queue}  process {child.pid} sent no heartbeat for {silent:.1f} s, "
                "longer than its lease: it is killed"
            )
            child.kill()

    def stop(self) -> None:
        """Tell the processes to stop, and fill no slot again."""
        self._stopping = True
        for child in self.children:
            child.terminate()


def supervise(
    hub: Hub, sources: list[Source], apps: Apps, options: argparse.Namespace, screen: Screen
) -> int:
    """Let processes work until told to stop, or until nothing is left; return the exit code."""
    queues = [hub.queue(source.queue) for source in sources]
    draining = Draining(queues, screen) if options.drain else None
    many = "1 process" if options.concurrency == 1 else f"{options.concurrency} processes"
    say_sources(hub, sources, many, screen)
    for line in apps.unused([source.queue for source in sources], ()):
        screen.say(line)
    supervisor = _Supervisor(sources, options, hub.settings.queue_lease, screen)
    with Signals(supervisor.end_at_once) as signals:
        supervisor.listen_to(signals.woken)
        try:
            while signals.received is None and not supervisor.code:
                supervisor.round()
                if draining is not None and draining.done():
                    break
            screen.clear()
            if signals.received is not None:
                screen.say(f"stopping: up to {options.grace:g} s; again: at once")
            supervisor.stop()
            until = monotonic() + options.grace + _AFTER_GRACE
            while supervisor.children and monotonic() < until:
                supervisor.round()
        finally:
            for child in supervisor.children:
                child.kill()
    screen.sum_up()
    return supervisor.code


def _ended(code: int | None) -> str:
    if code == KILLED:
        return "ended, since its job took too long or was taken from it"
    if code is not None and code < 0:
        return f"was killed by signal {-code}"
    return f"ended with {code}"
