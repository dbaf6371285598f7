"""Output of functions that run on threads of their own, kept out of the running cell."""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import AgentnbError
from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LONGEST", "Logged", "Sink", "diverted"]

LONGEST = 2000
"""Characters of a line that are kept."""


class Sink(Protocol):
    """A file-like object that receives redirected output."""

    def write(self, text: str) -> int:
        """Write a text."""

    def end(self) -> None:
        """End the output of the function."""


# The sink of the running code: a context variable, as the trace is.
_sink: ContextVar[Sink | None] = ContextVar("agentnb_output", default=None)


class Logged:
    """Logs the output of a function line by line.

    Parameters
    ----------
    log
        Given each line. Once it has failed it is given no more.
    lost
        Told why it failed: to print must not fail.
    """

    def __init__(
        self, log: Callable[[str], object], lost: Callable[[AgentnbError], object]
    ) -> None:
        self._log, self._tell = log, lost
        self._lock = new_lock()
        self._open = ""
        self._lost = False

    def write(self, text: str) -> int:
        """Write a text."""
        with self._lock:
            *lines, self._open = (self._open + text).split("\n")
            self._open = self._open[-LONGEST:]
        for line in lines:
            self._keep(line)
        return len(text)

    def end(self) -> None:
        """Log the last line, which may not have been finished."""
        with self._lock:
            line, self._open = self._open, ""
        if line:
            self._keep(line)

    def _keep(self, line: str) -> None:
        # Of a bar that was drawn over and over on one line the last is kept.
        shown = line.rstrip("\r").rpartition("\r")[2]
        self.guarded(lambda: self._log(shown[:LONGEST]))

    def guarded(self, log: Callable[[], object]) -> None:
        """Log something, unless that has failed before."""
        if self._lost:
            return
        try:
            log()
        except AgentnbError as error:
            self._lost = True
            self._tell(error)


def diverted(
    function: Callable[..., Any], sink_for: Callable[..., Sink], shell: Any
) -> Callable[..., Any]:
    """Return a function whose printed and displayed output goes to a sink.

    Parameters
    ----------
    function
        ``def`` or ``async def``.
    sink_for
        Called with the same arguments: returns where the output of that call goes.
    shell
        The IPython shell, for what is displayed.
    """
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*arguments: Any) -> Any:
            sink, token = _begin(sink_for(*arguments), shell)
            try:
                return await function(*arguments)
            finally:
                _sink.reset(token)
                sink.end()

        return awaited

    @wraps(function)
    def called(*arguments: Any) -> Any:
        sink, token = _begin(sink_for(*arguments), shell)
        try:
            return function(*arguments)
        finally:
            _sink.reset(token)
            sink.end()

    return called


def _begin(sink: Sink, shell: Any) -> tuple[Sink, Any]:
    for stream in (sys.stdout, sys.stderr):
        _divert(stream)
    _divert_display(shell)
    return sink, _sink.set(sink)


class _Write:
    """The ``write`` of a class of streams, redirected to the sink if there is one.

    It stands in the class, since IPython sets the ``write`` of a stream anew for each cell and
    puts the former one back when the cell has ended, also if another was set meanwhile.
    """

    def __init__(self, function: Any) -> None:
        self._function = function

    def __get__(self, stream: Any, owner: type | None = None) -> Any:
        if stream is None:
            return self._function
        write = vars(stream).get("write") or self._function.__get__(stream, owner)
        return _diverting(write)

    def __set__(self, stream: Any, write: Any) -> None:
        vars(stream)["write"] = getattr(write, "agentnb", write)

    def __delete__(self, stream: Any) -> None:
        vars(stream).pop("write", None)


def _diverting(write: Callable[[str], Any]) -> Callable[[str], Any]:
    def diverting(text: str) -> Any:
        sink = _sink.get()
        return write(text) if sink is None else sink.write(text)

    diverting.agentnb = write  # type: ignore[attr-defined]  # how it is known
    return diverting


def _divert(stream: Any) -> None:
    """Redirect the writes of such functions to their sink, and leave those of others alone."""
    if hasattr(stream.write, "agentnb"):
        return
    kind: Any = type(stream)
    try:
        kind.write = _Write(kind.write)
    except TypeError:  # one that is written in C, whose class cannot be changed
        with suppress(AttributeError):
            stream.write = _diverting(stream.write)


def _divert_display(shell: Any) -> None:
    """Redirect the displays of such functions to their sink, as text."""
    publisher = getattr(shell, "display_pub", None)
    publish = getattr(publisher, "publish", None)
    if publish is None or getattr(publish, "agentnb", False):
        return

    def diverting(data: Any, *args: Any, **options: Any) -> Any:
        sink = _sink.get()
        if sink is None:
            return publish(data, *args, **options)
        text = data.get("text/plain", "") if isinstance(data, dict) else ""
        sink.write(f"{text or '<' + ', '.join(data) + '>'}\n")
        return None

    diverting.agentnb = True  # type: ignore[attr-defined]  # as above
    publisher.publish = diverting  # type: ignore[union-attr]  # it was asked for
