"""Locks after a fork: a child inherits them as they were, held by threads that it does not have."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["renew_locks"]

_PACKAGE = __name__.partition(".")[0]
_PLAIN = type(threading.Lock())
_REENTRANT = type(threading.RLock())
_MADE_OF_LOCKS = (threading.Condition, threading.Event)


def renew_locks() -> None:
    """Release every lock of an object of agentnb, but for those that this thread holds.

    Called in each forked child. The services themselves notice the fork at their next use, and
    leave connections and threads to the parent.
    """
    for one in gc.get_objects():
        if _is_ours(type(one)):
            for value in _attributes(one):
                _renew(value)


def _is_ours(kind: type) -> bool:
    module = kind.__dict__.get("__module__")
    return isinstance(module, str) and module.partition(".")[0] == _PACKAGE


def _attributes(one: Any) -> Iterator[object]:
    """Yield what an object holds, and what a dictionary or a list of its holds."""
    values = list(getattr(one, "__dict__", {}).values())
    for kind in type(one).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else slots
        values += [getattr(one, name, None) for name in names]
    for value in values:
        yield value
        if type(value) is dict:
            yield from list(value.values())
        elif type(value) in (list, tuple):
            yield from list(value)


def _renew(value: Any) -> None:
    if isinstance(value, _REENTRANT):
        if not value._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001 - as the standard library's own classes do
            value._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
    elif isinstance(value, _PLAIN):
        value._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
    elif isinstance(value, threading.Semaphore):
        _renew(value._cond)  # type: ignore[attr-defined]  # noqa: SLF001
    elif isinstance(value, threading.Condition) and isinstance(value._lock, _REENTRANT):  # type: ignore[attr-defined]  # noqa: SLF001
        if not value._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
            value._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
    elif isinstance(value, _MADE_OF_LOCKS):
        value._at_fork_reinit()  # type: ignore[union-attr]  # noqa: SLF001
