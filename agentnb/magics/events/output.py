"""What a handler prints, kept for a view of its own.

A handler runs on a thread of its own, and what it prints would otherwise land in whichever cell
runs at the moment.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Output"]

_LINES = 500
_LONGEST = 2000
# Which output the running code belongs to: a context variable, as it is in a trace.
_output: ContextVar[Output | None] = ContextVar("agentnb_output", default=None)


class Output:
    """The last lines that a handler has printed.

    Parameters
    ----------
    shell
        The IPython shell, for what is displayed.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._open = ""
        self.changed: Callable[[], object] | None = None

    def write(self, text: str) -> int:
        """Take what is printed."""
        with self._lock:
            *lines, self._open = (self._open + text).split("\n")
            self._lines.extend(line[:_LONGEST] for line in lines)
            self._open = self._open[-_LONGEST:]
        if self.changed is not None:
            self.changed()
        return len(text)

    @property
    def text(self) -> str:
        """What was printed, the last lines of it."""
        with self._lock:
            return "\n".join([*self._lines, self._open] if self._open else self._lines)

    def clear(self) -> None:
        """Forget what was printed."""
        with self._lock:
            self._lines.clear()
            self._open = ""

    def of(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return the handler, whose output comes here."""
        import inspect

        if inspect.iscoroutinefunction(handler):

            @wraps(handler)
            async def awaited(event: Any) -> Any:
                token = self._begin()
                try:
                    return await handler(event)
                finally:
                    _output.reset(token)

            return awaited

        @wraps(handler)
        def called(event: Any) -> Any:
            token = self._begin()
            try:
                return handler(event)
            finally:
                _output.reset(token)

        return called

    def _begin(self) -> Any:
        for stream in (sys.stdout, sys.stderr):
            _divert(stream)
        _divert_display(self._shell)
        return _output.set(self)


def _divert(stream: Any) -> None:
    """Let what is written by a handler go to its output; all else goes where it went."""
    write = stream.write
    if getattr(write, "agentnb", False):
        return

    def diverted(text: str) -> int:
        output = _output.get()
        return write(text) if output is None else output.write(text)

    diverted.agentnb = True  # type: ignore[attr-defined]  # how it is known
    # On the stream itself: the kernel and others hold on to the object.
    with suppress(AttributeError):  # one that is written in C and cannot be told
        stream.write = diverted


def _divert_display(shell: Any) -> None:
    """Let what a handler displays go to its output, as text."""
    publisher = getattr(shell, "display_pub", None)
    publish = getattr(publisher, "publish", None)
    if publish is None or getattr(publish, "agentnb", False):
        return

    def diverted(data: Any, *args: Any, **options: Any) -> Any:
        output = _output.get()
        if output is None:
            return publish(data, *args, **options)
        text = data.get("text/plain", "") if isinstance(data, dict) else ""
        output.write(f"{text or '<' + ', '.join(data) + '>'}\n")
        return None

    diverted.agentnb = True  # type: ignore[attr-defined]  # as above
    publisher.publish = diverted  # type: ignore[union-attr]  # it was asked for
