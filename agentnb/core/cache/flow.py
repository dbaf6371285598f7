"""The flow of `Cache.get_or_set`: decides what to do, and leaves the doing to `run` or `arun`."""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core import sansio
from agentnb.core.callables import check_takes
from agentnb.core.codec.errors import ClassMissingError
from agentnb.core.errors import AgentnbError, LoadFailed

if TYPE_CHECKING:
    from agentnb.core.cache.loader import Loader
    from agentnb.core.cache.store import LoadRequest
    from agentnb.core.callthreads import CallThreads
    from agentnb.core.loop import LoopThread

__all__ = ["arun", "get_or_set_flow", "run"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1
# Seconds of waiting after which threads are searched for a cycle.
_SUSPICIOUS = 0.2


class _CallServer(NamedTuple):
    """The step that calls the server."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class _RunLoader:
    """The step that runs the loader."""


@dataclass(frozen=True, slots=True)
class _Sleep:
    """The step that waits, in seconds."""

    seconds: float


Flow = Generator[_CallServer | _RunLoader | _Sleep, Any, Any]


def get_or_set_flow(loader: Loader, request: LoadRequest) -> Flow:
    """Yield the steps of one `get_or_set`, and return the value."""
    lookup = loader.lookup_copy(request)
    if lookup is None and not loader.outage.cooling_down:
        try:
            lookup = yield _CallServer(partial(loader.lookup, request))
        except AgentnbError as error:
            if not loader.tolerates(error):
                raise
    if lookup is None:
        return (yield from _load_uncached(loader, request))
    loader.outage.succeeded()
    current, unusable = lookup.data, None
    if current is not None and not (lookup.due and not loader.refusal.cooling_down):
        try:
            return _hit(loader, request, current)
        except ClassMissingError as error:
            loader.log_missing(request.key, error)
            current, unusable = None, current
    if loader.refusal.cooling_down:
        return (yield from _load_uncached(loader, request))
    with loader.failures.asking(request.key):
        return (yield from _load_or_wait(loader, request, current, unusable))


def _hit(loader: Loader, request: LoadRequest, data: bytes) -> Any:
    value = loader.codec.decode(data, request.kind)
    loader.counter.hit()
    request.note(hit=True)
    return value


def _load_or_wait(
    loader: Loader, request: LoadRequest, current: bytes | None, unusable: bytes | None
) -> Flow:
    """Load, or wait for the call that loads. With a current value no call waits.

    An ``unusable`` value, whose class this process does not have, counts as missing.
    """
    key = request.key
    token = secrets.token_hex(8)
    awaited = ""
    waiting = _WaitForLoad(loader, request, token)
    if current is None:
        loader.check_not_inside(key)
    try:
        while True:
            before = current if current is not None else unusable
            state = yield from _acquire(loader, request, token, awaited, refresh=before is not None)
            if state is not None and state.acquired:
                if state.data is None or state.data == before:
                    return (yield from _load_and_store(loader, request, token, current, before))
                # Another loader has finished between the lookup and the lock.
                yield from _try(loader, partial(loader.store.release, key, token))
            data = current
            if state is not None and (state.acquired or current is None):
                data = state.data
            if data is not None and data != unusable:
                try:
                    return _hit(loader, request, data)
                except ClassMissingError as error:
                    loader.log_missing(key, error)
                    current, unusable = None, data
                    continue
            if state is None:
                return (yield from _load_uncached(loader, request))
            if state.failure is not None:
                failure = loader.failures.get(key, awaited) or LoadFailed(
                    f"loading {key!r} failed in another process: {state.failure}",
                    service="cache",
                    hint="mend the loader, or call again to load once more",
                )
                return (yield from _stale_or_raise(loader, request, None, failure))
            awaited = state.holder or awaited
            yield _Sleep(waiting.pause(awaited))
    finally:
        loader.waits.over(token)


class _WaitForLoad:
    """The waiting of one call for the load of another: growing pauses, a limit, no cycle."""

    def __init__(self, loader: Loader, request: LoadRequest, token: str) -> None:
        self._loader = loader
        self._request = request
        self._token = token
        self._began = monotonic()
        self._seconds = _FIRST_PAUSE
        self._circles = 0

    def pause(self, holder: str) -> float:
        """Return the seconds until the next lookup.

        Raises
        ------
        UsageError
            The awaited load waits for this call.
        DeadlineExceeded
            The call has waited longer than ``wait_seconds``.
        """
        waited = monotonic() - self._began
        thoroughly = waited > _SUSPICIOUS
        circular = self._loader.waits.circle(self._token, holder, thoroughly=thoroughly)
        # Threads run while their stacks are read: only a cycle seen twice in a row counts.
        self._circles = self._circles + 1 if circular else 0
        if circular and (not thoroughly or self._circles > 1):
            raise self._loader.circular(self._request.key)
        if waited > self._loader.wait_seconds:
            raise self._loader.exhausted(self._request.key)
        self._seconds = min(self._seconds * 1.5, _LONGEST_PAUSE)
        return self._seconds


def _acquire(
    loader: Loader, request: LoadRequest, token: str, awaited: str, *, refresh: bool
) -> Flow:
    """Try to acquire the lock; return its state, None if the server does not answer."""
    try:
        return (
            yield _CallServer(
                partial(loader.store.acquire, request, token, awaited, refresh=refresh)
            )
        )
    except AgentnbError as error:
        if not loader.tolerates(error, storing=True):
            raise
        return None
    except GeneratorExit:
        raise
    except BaseException:
        # Interrupted: the lock may have been acquired.
        yield from _try(loader, partial(loader.store.release, request.key, token))
        raise


def _load_and_store(
    loader: Loader, request: LoadRequest, token: str, current: bytes | None, before: bytes | None
) -> Flow:
    """Run the loader and store its value, holding the lock.

    Nothing is stored if the key's value is no longer ``before``.
    """
    key, store = request.key, loader.store
    with loader.leases.held(token, partial(store.renew, key, token)):
        try:
            with loader.waits.loading(key, token):
                request.note(hit=False)
                value = yield _RunLoader()
            data, copy = loader.codec.encode_and_decode(value, request.kind)
        except Exception as error:  # noqa: BLE001 - it is shared, and raised again here
            loader.failures.add(key, token, error)
            yield from _try(loader, partial(store.fail, key, token, error))
            return (yield from _stale_or_raise(loader, request, current, error))
        except GeneratorExit:
            raise  # the caller is gone: the lock expires by itself
        except BaseException:
            # The interrupt concerns this call only: another one may load.
            yield from _try(loader, partial(store.release, key, token))
            raise
        loader.counter.miss()
        yield from _try(loader, partial(loader.save, request, token, data, before))
    return copy


def _try(loader: Loader, call: Callable[[], Any]) -> Flow:
    """Call the server, and tolerate its failure: the loader's value or error matters more."""
    try:
        yield _CallServer(call)
    except AgentnbError as error:
        if not loader.tolerates(error, storing=True):
            raise
    else:
        loader.refusal.succeeded()


def _load_uncached(loader: Loader, request: LoadRequest) -> Flow:
    """Load without the server; the value is the same as from the cache."""
    loader.check_not_inside(request.key, thoroughly=True)
    loader.counter.miss()
    request.note(hit=False)
    with loader.waits.loading(request.key, secrets.token_hex(8)):
        value = yield _RunLoader()
    return loader.codec.encode_and_decode(value, request.kind)[1]


def _stale_or_raise(
    loader: Loader, request: LoadRequest, current: bytes | None, error: Exception
) -> Flow:
    """Return the current value or the stale copy, or raise the error if there is neither."""
    if current is None and request.stale:
        try:
            current = yield _CallServer(partial(loader.store.stale_copy, request.key))
        except AgentnbError as other:
            if not loader.tolerates(other):
                raise
    if current is None:
        raise error
    try:
        value = _hit(loader, request, current)
    except ClassMissingError:
        raise error from None
    loader.log.failed(
        logging.WARNING,
        "%r: its loader failed, the old value is served: %s",
        *(request.key, error),
        error=error,
    )
    return value


def run(flow: Flow, loader: Callable[[], Any], loop: LoopThread) -> Any:
    """Run a flow to its end, waiting, and return the value."""

    def do(step: _CallServer | _RunLoader | _Sleep) -> Any:
        if isinstance(step, _CallServer):
            return step.call()
        if isinstance(step, _RunLoader):
            return loop.call(_call, loader)
        return time.sleep(step.seconds)

    return sansio.run(flow, do)


def _call(loader: Callable[[], Any]) -> Any:
    """Call a loader; one that cannot be called without arguments is a wrong argument."""
    try:
        return loader()
    except TypeError:
        hint = "lambda: load(7) gives a function its arguments; @hub.cache.cached keeps each apart"
        check_takes(loader, name="loader", service="cache", hint=hint)
        raise


async def arun(flow: Flow, loader: Callable[[], Any], threads: CallThreads) -> Any:
    """Run a flow to its end, awaiting, and return the value."""

    async def do(step: _CallServer | _RunLoader | _Sleep) -> Any:
        if isinstance(step, _CallServer):
            # A lock that a call acquires is released only after the call has ended.
            return await threads.run(step.call, finish=True)
        if isinstance(step, _Sleep):
            return await asyncio.sleep(step.seconds)
        result = _call(loader)
        return await result if inspect.isawaitable(result) else result

    return await sansio.arun(flow, do)
