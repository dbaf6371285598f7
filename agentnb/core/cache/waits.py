"""The running loads of this process, the calls that wait for them, and cycles of waiting."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["Waits"]


# The loads that a call is part of, outermost first: token and key of each.
_Inside = ContextVar[tuple[tuple[str, str], ...]]


class _Load(NamedTuple):
    key: str
    thread: int


class Waits:
    """Finds a loader that waits, also through the calls it makes, for a load that waits for it.

    A call knows the loads that it is part of by its context, which tasks and
    `asyncio.to_thread` inherit. A thread of a pool inherits none; it is part of a load whose
    thread or task is seen to wait for it, by a future's result or by joining it.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._loads: dict[str, _Load] = {}
        self._waiting: dict[str, tuple[frozenset[str], str]] = {}
        self._inside: _Inside = ContextVar("inside", default=())

    @contextmanager
    def loading(self, key: str, token: str) -> Iterator[None]:
        """Note, within the block, that what runs is the loader of a key."""
        with self._lock:
            self._loads[token] = _Load(key, threading.get_ident())
        before = self._inside.set((*self._inside.get(), (token, key)))
        try:
            yield
        finally:
            self._inside.reset(before)
            with self._lock:
                del self._loads[token]

    def is_inside(self, key: str) -> bool:
        """Return whether this call is made by the loader of a key."""
        return any(key == other for _, other in self._inside.get())

    def is_within(self, key: str) -> bool:
        """Return whether this call is made by the loader of a key, or a thread waits for it."""
        with self._lock:
            loads = dict(self._loads)
        return any(load.key == key for load in loads.values()) and (
            self.is_inside(key)
            or any(
                loads[token].key == key
                for token in _adopting(loads, self._inside)
                if token in loads
            )
        )

    def circle(self, waiter: str, holder: str, *, thoroughly: bool) -> bool:
        """Note what a call waits for, and return whether that waits for the call.

        Parameters
        ----------
        waiter
            The token of the call.
        holder
            The token of the load that it waits for.
        thoroughly
            Whether to look at what the threads of loads wait for, too.
        """
        with self._lock:
            loads = dict(self._loads)
        parents = {token for token, _ in self._inside.get()}
        if thoroughly and loads:
            parents |= _adopting(loads, self._inside)
        with self._lock:
            self._waiting[waiter] = (frozenset(parents), holder)
            waiting = list(self._waiting.values())
        seen: set[str] = set()
        ahead = [holder]
        while ahead:
            token = ahead.pop()
            if token in parents:
                return True
            if token not in seen:
                seen.add(token)
                ahead += [awaited for parts, awaited in waiting if token in parts]
        return False

    def over(self, waiter: str) -> None:
        """Note that a call waits no longer."""
        with self._lock:
            self._waiting.pop(waiter, None)


def _adopting(loads: dict[str, _Load], inside: _Inside) -> set[str]:
    """Return the loads that wait for this thread, by way of others or not."""
    mine = threading.get_ident()
    frames = sys._current_frames()  # noqa: SLF001 - the only way to see what a thread waits for
    work = {ident: list(_running(frame)) for ident, frame in frames.items()}
    runners = {id(future): ident for ident, futures in work.items() for future in futures}
    awaiting = {
        ident: {token for future in futures for token in _of_tasks(future, inside)}
        for ident, futures in work.items()
    }
    found = set()
    for token, load in loads.items():
        seen: set[int] = set()
        ahead = [ident for ident, tokens in awaiting.items() if token in tokens]
        if mine in ahead:
            found.add(token)
        if load.thread != mine:
            ahead.append(load.thread)
        while ahead:
            thread = ahead.pop()
            frame = frames.get(thread)
            if thread in seen or thread == mine or frame is None:
                continue
            seen.add(thread)
            awaited = _awaited(frame, runners)
            if mine in awaited:
                found.add(token)
            ahead += awaited
    return found


def _of_tasks(future: Any, inside: _Inside) -> Iterator[str]:
    """Yield the loads whose tasks await a future of a pool, as `run_in_executor` has them do."""
    for callback in list(getattr(future, "_done_callbacks", ())):
        for cell in getattr(callback, "__closure__", None) or ():
            with suppress(ValueError):  # an empty cell
                # A callback of an asyncio future stands beside the context of its task.
                for _, context in getattr(cell.cell_contents, "_callbacks", None) or ():
                    yield from (token for token, _ in context.get(inside, ()))


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _running(frame: FrameType) -> Iterator[Any]:
    """Yield the futures that a thread of a pool works for."""
    for one in _stack(frame):
        if one.f_code.co_name == "run" and one.f_globals.get("__name__") == _POOL:
            future = getattr(one.f_locals.get("self"), "future", None)
            if future is not None:
                yield future


_POOL = "concurrent.futures.thread"


_JOIN = threading.Thread.join.__code__
_ONE = frozenset(
    {concurrent.futures.Future.result.__code__, concurrent.futures.Future.exception.__code__}
)
_SEVERAL = frozenset({concurrent.futures.wait.__code__, concurrent.futures.as_completed.__code__})


def _awaited(frame: FrameType, runners: dict[int, int]) -> list[int]:
    """Return the threads that a thread waits for."""
    for one in _stack(frame):
        if one.f_code is _JOIN:
            ident = getattr(one.f_locals.get("self"), "ident", None)
            return [] if ident is None else [ident]
        if one.f_code in _ONE:
            futures = [one.f_locals.get("self")]
        elif one.f_code in _SEVERAL:
            futures = list(one.f_locals.get("fs") or ())
        else:
            continue
        return [runners[id(future)] for future in futures if id(future) in runners]
    return []
