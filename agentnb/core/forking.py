"""Locks after a fork: a child inherits them as they were, held by threads that it does not have."""

from __future__ import annotations

import importlib
import os
import threading
import weakref
from contextlib import suppress
from time import monotonic
from typing import Any, Self, TypeVar

__all__ = [
    "ForkGuard",
    "OpeningLock",
    "free_in_children",
    "new_condition",
    "new_event",
    "new_lock",
    "new_rlock",
    "new_semaphore",
    "renew_locks",
]

T = TypeVar("T")

_PLAIN = type(threading.Lock())
_REENTRANT = type(threading.RLock())
_LONGEST_WAIT = 3.0
_MADE_OF_LOCKS = (threading.Condition, threading.Event)

# Plain sets, of which other threads may make something while a copy is made of them.
_opening: set[weakref.ref[OpeningLock]] = set()
_made: set[weakref.ref[Any]] = set()
_forks = 0  # of this process and of those it descends from; os.getpid() asks the kernel


# All locks of agentnb are made by these functions, so that a child finds them without a look at
# every object of its process, which takes half a second where there are a million.


def new_lock() -> threading.Lock:
    """Return a lock that nobody holds in a forked child."""
    return free_in_children(threading.Lock())


def new_rlock() -> threading.RLock:
    """Return a reentrant lock that in a forked child nobody holds but the thread that forked."""
    return free_in_children(threading.RLock())


def new_condition(lock: threading.Lock | threading.RLock | None = None) -> threading.Condition:
    """Return a condition, of a new reentrant lock by default, that is new in a forked child."""
    return free_in_children(threading.Condition(lock))


def new_event() -> threading.Event:
    """Return an event that no thread holds the lock of in a forked child."""
    return free_in_children(threading.Event())


def new_semaphore(value: int) -> threading.Semaphore:
    """Return a semaphore that no thread holds the lock of in a forked child."""
    return free_in_children(threading.Semaphore(value))


def free_in_children(one: T) -> T:
    """Return a lock that was made elsewhere, which forked children find free from now on."""
    _made.add(weakref.ref(one, _made.discard))
    return one


class ForkGuard:
    """The process that an object belongs to.

    Examples
    --------
    >>> guard = ForkGuard()
    >>> guard.forked
    False
    """

    __slots__ = ("_forks",)

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Let the object belong to this process from now on."""
        self._forks = _forks

    @property
    def forked(self) -> bool:
        """Whether this process is a forked child of the one that the object belongs to."""
        return self._forks != _forks


class OpeningLock:
    """A reentrant lock that a fork waits for, for up to 3 s, while another thread holds it.

    A service is opened under it: what a thread is about to import then would stay half imported
    in a child, which has no such thread.
    """

    def __init__(self) -> None:
        self._lock = new_rlock()
        _opening.add(weakref.ref(self, _opening.discard))

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, seconds: float) -> None:
        """Wait until no other thread holds it, for at most these seconds."""
        if self._lock.acquire(timeout=seconds):
            self._lock.release()


def _begin_child() -> None:
    """Let every guard and every lock see that this is a forked child."""
    global _forks  # noqa: PLW0603 - how often this very process was forked
    _forks += 1
    renew_locks()


def _let_finish() -> None:
    """Wait until no other thread opens a service; called before each fork."""
    until = monotonic() + _LONGEST_WAIT
    for reference in list(_opening):
        if (one := reference()) is not None:
            one.wait(max(until - monotonic(), 0.0))


def renew_locks() -> None:
    """Release every lock that is to be free in children, but for those that this thread holds.

    Called in each forked child. The services themselves notice the fork at their next use, and
    leave connections and threads to the parent.
    """
    for reference in list(_made):
        # One that cannot be renewed must not leave all others as they are.
        with suppress(Exception):
            _renew(reference())


def _renew(value: Any) -> None:
    kind = type(value)  # isinstance() would ask the value, which may be the proxy of a dead object
    if issubclass(kind, _REENTRANT):
        if not value._is_owned():  # noqa: SLF001 - as the standard library's own classes do
            value._at_fork_reinit()  # noqa: SLF001
    elif issubclass(kind, _PLAIN):
        value._at_fork_reinit()  # noqa: SLF001
    elif issubclass(kind, threading.Semaphore):
        _renew(value._cond)  # noqa: SLF001
    elif issubclass(kind, threading.Condition) and isinstance(value._lock, _REENTRANT):  # noqa: SLF001
        if not value._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
            value._at_fork_reinit()  # noqa: SLF001
    elif issubclass(kind, _MADE_OF_LOCKS):
        value._at_fork_reinit()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    # The function registered last is called first. A thread that `_let_finish` waits for may
    # need the locks that these two modules take before a fork.
    importlib.import_module("logging")
    importlib.import_module("concurrent.futures.thread")
    os.register_at_fork(before=_let_finish, after_in_child=_begin_child)
