"""The time of a replay: that at which its steps were recorded."""

from __future__ import annotations

import datetime as dt
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = ["FrozenClock"]

_REAL = {"time": time.time, "time_ns": time.time_ns}
_DATE, _DATETIME = dt.date, dt.datetime
_LIBRARY = (str(Path(dt.__file__).parent), str(Path(__file__).parents[2]))


class FrozenClock:
    """Freezes ``time.time``, ``datetime.now`` and ``date.today`` in a block, for the user's code.

    They are replaced in their modules, and in the modules of the user that have imported them by
    name. Libraries that were imported before keep the system's time, as agentnb does.

    Parameters
    ----------
    now
        The time, in seconds since 1970.

    Examples
    --------
    >>> with FrozenClock(0.5) as clock:
    ...     clock.now += 1
    ...     time.time()
    1.5
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self._undo: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Self:
        date, moment = _classes(self)
        replacements: dict[Any, Any] = {
            _REAL["time"]: lambda: self.now,
            _REAL["time_ns"]: lambda: round(self.now * 1e9),
            _DATE: date,
            _DATETIME: moment,
        }
        for module in (time, dt, *_modules_of_the_user()):
            for name, value in list(vars(module).items()):
                try:
                    found = replacements.get(value)
                except TypeError:  # a value without a hash
                    continue
                if found is not None:
                    self._undo.append((module, name, value))
                    setattr(module, name, found)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for module, name, value in reversed(self._undo):
            setattr(module, name, value)
        self._undo.clear()

    @contextmanager
    def thawed(self) -> Iterator[None]:
        """Have the system's time in a block."""
        frozen = bool(self._undo)
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            if frozen:
                self.__enter__()


def _modules_of_the_user() -> list[Any]:
    """Return the modules outside of Python's library, the installed packages and agentnb."""
    found = []
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        own = getattr(module, "__name__", "") == "__main__" and path is None  # a notebook's
        if own or (path and "site-packages" not in path and not path.startswith(_LIBRARY)):
            found.append(module)
    return found


def _classes(clock: FrozenClock) -> tuple[type, type]:
    """Return the classes that stand for ``date`` and ``datetime``: values stay of the real ones."""
    moments: dict[str, Callable[..., Any]] = {
        "now": lambda tz=None: _DATETIME.fromtimestamp(clock.now, tz),
        "today": lambda: _DATETIME.fromtimestamp(clock.now),
        "utcnow": lambda: _DATETIME.fromtimestamp(clock.now, dt.UTC).replace(tzinfo=None),
    }
    days = {"today": lambda: _DATE.fromtimestamp(clock.now)}
    return _standing_for(_DATE, days), _standing_for(_DATETIME, moments)


def _standing_for(real: type, methods: dict[str, Callable[..., Any]]) -> type:
    """Return a class like another one, which makes instances of that, with other static methods."""

    class Meta(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real)

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, real)

    names = {name: staticmethod(method) for name, method in methods.items()}
    names["__new__"] = staticmethod(lambda _, *args, **options: real(*args, **options))
    return Meta(real.__name__, (real,), {"__module__": real.__module__, **names})
