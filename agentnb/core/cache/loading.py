"""Cache-aside, once for everybody: the steps of `get_or_set`, for those who wait and who await.

The steps are a generator that asks for what it needs: a call to the server, the loader, a
pause. Its drivers, one synchronous and one asynchronous, do it and send the result back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError, LoadFailed

if TYPE_CHECKING:
    from agentnb.core.cache.loader import Loader
    from agentnb.core.cache.store import State, Wanted

__all__ = ["Ask", "Load", "Pause", "Steps", "steps"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


@dataclass(frozen=True, slots=True)
class Ask:
    """Call the server."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Load:
    """Run the loader."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass, in seconds."""

    seconds: float


Steps = Generator[Ask | Load | Pause, Any, Any]


def steps(cache: Loader, wanted: Wanted) -> Steps:
    """Yield what is to be done; return the value."""
    found = cache.near(wanted)
    if found is None and not cache.away.resting:
        try:
            found = yield Ask(partial(cache.look, wanted))
        except AgentnbError as error:
            if not cache.survives(error):
                raise
    if found is None:
        return (yield from _without(cache, wanted))
    cache.away.well()
    if found.data is not None and not found.due:
        return _hit(cache, wanted, found.data)
    if cache.refuses.resting:
        if found.data is not None:
            return _hit(cache, wanted, found.data)
        return (yield from _without(cache, wanted))
    with cache.failures.asking(wanted.key):
        return (yield from _as_one_of_many(cache, wanted, found.data))


def _hit(cache: Loader, wanted: Wanted, data: bytes) -> Any:
    cache.count.hit()
    return cache.codec.decode(data, wanted.kind)


def _as_one_of_many(cache: Loader, wanted: Wanted, current: bytes | None) -> Steps:
    """Load, or wait for the one who does; with a current value nobody waits."""
    key = wanted.key
    token = secrets.token_hex(8)
    awaited = ""
    pause = _FIRST_PAUSE
    if current is None:
        cache.check_not_inside(key)
    while True:
        state = yield from _taken(cache, wanted, token, awaited, refresh=current is not None)
        if state is not None and state.mine:
            return (yield from _as_the_one(cache, wanted, token, current, state))
        data = current if current is not None else state and state.data
        if data is not None:
            return _hit(cache, wanted, data)
        if state is None:
            return (yield from _without(cache, wanted))
        if state.failure is not None:
            failure = cache.failures.get(key, awaited) or LoadFailed(
                f"loading {key!r} failed in another process: {state.failure}", service="cache"
            )
            return (yield from _before_or(cache, wanted, None, failure))
        awaited = state.holder or awaited
        yield Pause(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _taken(cache: Loader, wanted: Wanted, token: str, awaited: str, *, refresh: bool) -> Steps:
    """Try to take the lock; return how things stand, None if the server does not say."""
    try:
        return (yield Ask(partial(cache.store.take, wanted, token, awaited, refresh=refresh)))
    except AgentnbError as error:
        if not cache.survives(error, storing=True):
            raise
        return None
    except GeneratorExit:
        raise
    except BaseException:
        # Interrupted: whether the lock was taken is not known.
        yield from _told(cache, partial(cache.store.release, wanted.key, token))
        raise


def _as_the_one(
    cache: Loader, wanted: Wanted, token: str, current: bytes | None, state: State
) -> Steps:
    """Run the loader and store what it gives, holding the lock."""
    key, store = wanted.key, cache.store
    if state.data is not None and state.data != current:
        # Between the look and the lock another loader has finished.
        yield from _told(cache, partial(store.release, key, token))
        return _hit(cache, wanted, state.data)
    with cache.leases.held(token, partial(store.renew, key, token)):
        try:
            with cache.inside(key):
                value = yield Load()
            data, copy = cache.codec.encode_and_decode(value, wanted.kind)
        except Exception as error:  # noqa: BLE001 - it is shared, and raised again here
            cache.failures.add(key, token, error)
            yield from _told(cache, partial(store.fail, key, token, error))
            return (yield from _before_or(cache, wanted, current, error))
        except GeneratorExit:
            raise  # nobody is there to give the lock back; it ends by itself
        except BaseException:
            # An interrupt is the caller's own: another one may load.
            yield from _told(cache, partial(store.release, key, token))
            raise
        cache.count.miss()
        yield from _told(cache, partial(cache.save, wanted, token, data, current))
    return copy


def _told(cache: Loader, call: Callable[[], Any]) -> Steps:
    """Ask without depending on it: what the loader gave, or raised, counts more."""
    try:
        yield Ask(call)
    except AgentnbError as error:
        if not cache.survives(error, storing=True):
            raise
    else:
        cache.refuses.well()


def _without(cache: Loader, wanted: Wanted) -> Steps:
    """Load as if there were no cache, with the same result."""
    cache.check_not_inside(wanted.key)
    cache.count.miss()
    with cache.inside(wanted.key):
        value = yield Load()
    return cache.codec.encode_and_decode(value, wanted.kind)[1]


def _before_or(cache: Loader, wanted: Wanted, current: bytes | None, error: Exception) -> Steps:
    """Return the value of before, if it still holds or was asked for, or raise."""
    if current is None and wanted.stale:
        try:
            current = yield Ask(partial(cache.store.copy, wanted.key))
        except AgentnbError as other:
            if not cache.survives(other):
                raise
    if current is None:
        raise error
    cache.log.warning("%r: its loader failed, served what was before: %s", wanted.key, error)
    return _hit(cache, wanted, current)
