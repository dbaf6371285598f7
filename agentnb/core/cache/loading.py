"""Cache-aside, once for everybody: the steps of `get_or_set`, for those who wait and who await.

The steps are a generator that asks for what it needs: a call to the server, the loader, a
pause. Its drivers, one synchronous and one asynchronous, do it and send the result back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.codec.errors import ClassMissingError
from agentnb.core.errors import AgentnbError, LoadFailed

if TYPE_CHECKING:
    from agentnb.core.cache.loader import Loader
    from agentnb.core.cache.store import Wanted

__all__ = ["Ask", "Load", "Pause", "Steps", "steps"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1
# Seconds of waiting after which a cycle of waiting threads is looked for.
_SUSPICIOUS = 0.2


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
    if found is None and not cache.away.cooling_down:
        try:
            found = yield Ask(partial(cache.look, wanted))
        except AgentnbError as error:
            if not cache.survives(error):
                raise
    if found is None:
        return (yield from _without(cache, wanted))
    cache.away.succeeded()
    current, unusable = found.data, None
    if current is not None and not (found.due and not cache.refuses.cooling_down):
        try:
            return _hit(cache, wanted, current)
        except ClassMissingError as error:
            cache.note_missing(wanted.key, error)
            current, unusable = None, current
    if cache.refuses.cooling_down:
        return (yield from _without(cache, wanted))
    with cache.failures.asking(wanted.key):
        return (yield from _as_one_of_many(cache, wanted, current, unusable))


def _hit(cache: Loader, wanted: Wanted, data: bytes) -> Any:
    value = cache.codec.decode(data, wanted.kind)
    cache.count.hit()
    return value


def _as_one_of_many(
    cache: Loader, wanted: Wanted, current: bytes | None, unusable: bytes | None
) -> Steps:
    """Load, or wait for the one who does; with a current value nobody waits.

    A value whose class this process does not have is present and counts as missing.
    """
    key = wanted.key
    token = secrets.token_hex(8)
    awaited = ""
    patience = _Patience(cache, wanted, token)
    if current is None:
        cache.check_not_inside(key)
    try:
        while True:
            before = current if current is not None else unusable
            state = yield from _taken(cache, wanted, token, awaited, refresh=before is not None)
            if state is not None and state.mine:
                if state.data is None or state.data == before:
                    return (yield from _as_the_one(cache, wanted, token, current, before))
                # Between the look and the lock another loader has finished.
                yield from _told(cache, partial(cache.store.release, key, token))
            data = current
            if state is not None and (state.mine or current is None):
                data = state.data
            if data is not None and data != unusable:
                try:
                    return _hit(cache, wanted, data)
                except ClassMissingError as error:
                    cache.note_missing(key, error)
                    current, unusable = None, data
                    continue
            if state is None:
                return (yield from _without(cache, wanted))
            if state.failure is not None:
                failure = cache.failures.get(key, awaited) or LoadFailed(
                    f"loading {key!r} failed in another process: {state.failure}", service="cache"
                )
                return (yield from _before_or(cache, wanted, None, failure))
            awaited = state.holder or awaited
            yield Pause(patience.pause(awaited))
    finally:
        cache.waits.over(token)


class _Patience:
    """How long one call waits for the load of another: in growing pauses, never in a circle."""

    def __init__(self, cache: Loader, wanted: Wanted, token: str) -> None:
        self._cache = cache
        self._wanted = wanted
        self._token = token
        self._began = monotonic()
        self._seconds = _FIRST_PAUSE
        self._circles = 0

    def pause(self, holder: str) -> float:
        """Return the seconds until the next look.

        Raises
        ------
        UsageError
            The load that it waits for waits for this call.
        DeadlineExceeded
            It has waited for longer than may be.
        """
        waited = monotonic() - self._began
        thoroughly = waited > _SUSPICIOUS
        found = self._cache.waits.circle(self._token, holder, thoroughly=thoroughly)
        # What threads do is seen in passing: seen twice in a row, it stays so.
        self._circles = self._circles + 1 if found else 0
        if found and (not thoroughly or self._circles > 1):
            raise self._cache.circular(self._wanted.key)
        if waited > self._cache.patience:
            raise self._cache.exhausted(self._wanted.key)
        self._seconds = min(self._seconds * 1.5, _LONGEST_PAUSE)
        return self._seconds


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
    cache: Loader, wanted: Wanted, token: str, current: bytes | None, before: bytes | None
) -> Steps:
    """Run the loader and store what it gives, holding the lock.

    Nothing is stored if the key has meanwhile another value than before.
    """
    key, store = wanted.key, cache.store
    with cache.leases.held(token, partial(store.renew, key, token)):
        try:
            with cache.waits.loading(key, token):
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
        yield from _told(cache, partial(cache.save, wanted, token, data, before))
    return copy


def _told(cache: Loader, call: Callable[[], Any]) -> Steps:
    """Ask without depending on it: what the loader gave, or raised, counts more."""
    try:
        yield Ask(call)
    except AgentnbError as error:
        if not cache.survives(error, storing=True):
            raise
    else:
        cache.refuses.succeeded()


def _without(cache: Loader, wanted: Wanted) -> Steps:
    """Load as if there were no cache, with the same result."""
    cache.check_not_inside(wanted.key, thoroughly=True)
    cache.count.miss()
    with cache.waits.loading(wanted.key, secrets.token_hex(8)):
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
    try:
        value = _hit(cache, wanted, current)
    except ClassMissingError:
        raise error from None
    cache.log.warning("%r: its loader failed, served what was before: %s", wanted.key, error)
    return value
