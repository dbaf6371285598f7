"""The far side of an attempt: the process in which an executor runs it."""

from __future__ import annotations

import itertools
import weakref
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec.structs import replace

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError, ConfigError
from agentnb.core.forking import ForkGuard, new_lock
from agentnb.core.trace.process import set_role
from agentnb.core.work.attempt import Attempt
from agentnb.core.work.executors.record import Record, Reply, read_record, write
from agentnb.core.work.identity import host_name, new_owner
from agentnb.core.work.store import Began, Claim, Sign

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.loop import LoopThread
    from agentnb.core.work.attempt import WorkHandler
    from agentnb.core.work.store import WorkStore

__all__ = ["FarService", "FarSide", "check", "check_local", "finish", "prepare", "register", "run"]

_LONGEST_INTERVAL = 1.0


class FarSide(NamedTuple):
    """The parts of a service that run its attempts on the far side.

    Attributes
    ----------
    store
        Begins attempts and keeps them alive.
    handler
        Runs them.
    loop, log
        Run coroutines, and log outages.
    pack
        Returns a result of the handler as bytes.
    """

    store: WorkStore
    handler: WorkHandler
    loop: LoopThread
    log: logging.Logger | logging.LoggerAdapter[Any]
    pack: Callable[[Any], bytes] = bytes


class FarService(Protocol):
    """A service whose attempts can run elsewhere: the queues and the workflows of a hub."""

    def _far_side(self, record: Record) -> FarSide:
        """Return what runs an attempt here, or that of a record without one.

        Raises
        ------
        ConfigError
            It is of another server or database, or its code cannot be imported here.
        """


def run(data: bytes, unit: bytes | None = None) -> bytes:
    """Run the attempt of a record in this thread, and return its reply.

    Parameters
    ----------
    data
        The record.
    unit
        That of the claim, from an executor that runs no call twice and knows which have begun;
        None for one of which the store has to keep that.
    """
    record = read_record(data)
    if isinstance(record, str):
        return write(Reply(refused=record))
    try:
        side = _hubs.service(record)._far_side(record)  # noqa: SLF001 - the protocol's
        if unit is None:
            began = side.store.begin(record.key, record.owner, _identity(), record.lease)
        else:
            began = side.store.unpack(record.key, record.owner, record.attempt, unit)
    except AgentnbError as error:
        return write(Reply(refused=_words(error)))
    if not isinstance(began, Claim):
        return write(Reply(repeated=began is Began.REPEATED, lost=began is Began.LOST))
    claim = replace(began, timeout=record.timeout, waited=record.waited)
    attempt = Attempt(claim, side.handler, side.loop, side.log)
    return write(_perform(attempt, side, record, kept=unit is None))


def check(data: bytes) -> str | None:
    """Return why attempts like that of a record cannot run in this process; None if they can."""
    record = read_record(data)
    if isinstance(record, str):
        return record
    try:
        _hubs.service(record)._far_side(record)  # noqa: SLF001 - the protocol's
    except AgentnbError as error:
        return _words(error)
    return None


def check_local(record: Record, *, shared: bool, name: str, variable: str) -> None:
    """Refuse a record before anything of its service is opened here.

    Parameters
    ----------
    record
        The record.
    shared
        Whether this process has a server or database that machines can share.
    name, variable
        Its noun for the message, and the variable that names it.

    Raises
    ------
    ConfigError
        Its store is confined to another host, or this process has none that is shared.
    """
    if record.local_to:
        if record.local_to != host_name():
            raise ConfigError(
                f"{record.where} serves one host, and this process runs on another",
                service="work",
                hint=f"set {variable} on both sides to a {name} that both reach",
            )
    elif not shared:
        raise ConfigError(
            f"{variable} is not set in this process; the worker uses {record.where}",
            service="work",
            hint=f"set {variable} there, in the environment or in .env",
        )


def _perform(attempt: Attempt, side: FarSide, record: Record, *, kept: bool) -> Reply:
    _pulses.add(attempt, side.store, record.lease, kept=kept)
    _on_begin[0]()
    try:
        outcome = attempt.run()
    finally:
        _pulses.remove(attempt)
    if attempt.lost:
        return Reply(lost=True)
    value = (
        b"" if outcome.failure is not None or outcome.value is None else side.pack(outcome.value)
    )
    return Reply(outcome.kind, value, outcome.failure, outcome.delay, outcome.ms)


class _Pulses:
    """Keeps the attempts of this process alive in their stores, and stops those that are over.

    One thread serves them all: attempts are short more often than not.
    """

    def __init__(self) -> None:
        self._fork = ForkGuard()
        self._reset()

    def _reset(self) -> None:
        self._interval = _LONGEST_INTERVAL
        self._running: dict[int, tuple[Attempt, WorkStore, float]] = {}
        self._unkept: set[int] = set()
        self._thread = BackgroundThread(self._touch_all, name="pulses")

    def add(self, attempt: Attempt, store: WorkStore, lease: float, *, kept: bool) -> None:
        """Keep an attempt alive from now on.

        Parameters
        ----------
        attempt, store, lease
            The attempt, and where it is kept alive for how many seconds at a time.
        kept
            Whether the store knows that it has begun. Otherwise its first sign of life says so:
            most attempts have ended before.
        """
        if self._fork.forked:
            self._fork.reset()
            self._reset()
        if not kept:
            self._unkept.add(id(attempt))
        self._running[id(attempt)] = attempt, store, lease
        if lease / 3 < self._interval:
            self._interval = lease / 3
            self._thread.wake()
        elif not self._thread.alive:
            self._thread.start()

    def remove(self, attempt: Attempt) -> None:
        """Leave an attempt alone, which has ended."""
        self._running.pop(id(attempt), None)
        self._unkept.discard(id(attempt))

    def _touch_all(self) -> float:
        for attempt, store, lease in list(self._running.values()):
            with suppress(Exception):  # a driver's too: the next one may come through
                self._touch(attempt, store, lease)
        return self._interval

    def _touch(self, attempt: Attempt, store: WorkStore, lease: float) -> None:
        if id(attempt) in self._unkept:
            began = store.begin(attempt.key, attempt.claim.owner, _identity(), lease)
            sign = Sign.GO_ON if isinstance(began, Claim) else Sign.LOST
            self._unkept.discard(id(attempt))
        else:
            sign = store.touch(attempt.key, attempt.claim.owner, lease)
        if id(attempt) not in self._running:
            return
        if sign is Sign.LOST:
            self.remove(attempt)
            attempt.lose()
        elif sign is Sign.CANCELLED and not attempt.stopped:
            attempt.cancel()


class _Hubs:
    """The hubs of this process: those of workers, and one for the records of other processes."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._fork = ForkGuard()
        self._workers: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._own: Any = None
        self._settings: dict[str, Any] = {}

    def register(self, store: str, hub: Any) -> None:
        with self._lock:
            self._check_fork()
            self._workers[store] = hub

    def prepare(self, settings: dict[str, Any]) -> None:
        with self._lock:
            self._settings = settings

    def service(self, record: Record) -> FarService:
        hub = self._hub(record.store)
        found: FarService = hub.queues if record.kind == "job" else hub.workflows
        return found

    def _hub(self, store: str) -> Any:
        with self._lock:
            self._check_fork()
            hub = self._workers.get(store)
            if hub is not None and not hub.closed:
                return hub
            if self._own is None or self._own.closed:
                set_role("executor")
                # By its name: the engine knows no hub.
                self._own = import_module("agentnb.core.hub").connect(**self._settings)
            return self._own

    def close(self) -> None:
        with self._lock:
            if self._own is not None and not self._fork.forked:
                self._own.close()

    def _check_fork(self) -> None:
        if self._fork.forked:
            self._fork.reset()
            self._workers = weakref.WeakValueDictionary()
            self._own = None


def _say_nothing() -> None:
    """Take the begin of an attempt where the store alone is told."""


_hubs = _Hubs()
_on_begin: list[Callable[[], object]] = [_say_nothing]
_pulses = _Pulses()
_owner: list[tuple[ForkGuard, str]] = []
_calls = itertools.count(1)


def register(store: str, hub: Any) -> None:
    """Let the attempts of a store that run in this process use a worker's hub."""
    _hubs.register(store, hub)


def prepare(settings: dict[str, Any], *, on_begin: Callable[[], object]) -> None:
    """Give this process the settings of the hub that it makes for its attempts.

    Parameters
    ----------
    settings
        The settings, by name.
    on_begin
        Called where each attempt begins.
    """
    _hubs.prepare(settings)
    _on_begin[0] = on_begin


def finish() -> None:
    """Close the hub that this process has made, which writes and sends what is waiting."""
    _hubs.close()


def _identity() -> str:
    """Return an identity of this process for one call, with which `begin` may be repeated."""
    if not _owner or _owner[0][0].forked:
        _owner[:] = [(ForkGuard(), new_owner())]
    return f"{_owner[0][1]}.{next(_calls):x}"


def _words(error: AgentnbError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
