"""A stream as a notebook shows it: one output that grows as the stream comes."""

from __future__ import annotations

import json
import queue
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.api import Event
from agentnb.core.background import run_in_thread
from agentnb.core.format import cut
from agentnb.core.table import text_of
from agentnb.core.trace.files import clean
from agentnb.magics.livetext import LiveText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.api import StreamReply

__all__ = ["Streamed", "show_stream"]

_LINES = 200
_WIDE = 2000
_EVERY = 0.1
_END = object()


class Streamed(list[Any]):
    """The events, or lines, that a stream has brought; the output above shows them.

    Attributes
    ----------
    status, headers
        The reply's.
    interrupted
        Whether the stream was stopped, so that more would have come.
    """

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        super().__init__()
        self.status, self.headers = status, headers
        self.interrupted = False

    def __repr__(self) -> str:
        kind = "event" if any(isinstance(one, Event) for one in self) else "line"
        number = f"{len(self):,} {kind}{'' if len(self) == 1 else 's'}"
        return f"{number}, then interrupted" if self.interrupted else number


def show_stream(reply: StreamReply, redactor: Callable[[str], str], *, quiet: bool) -> Streamed:
    """Display a stream as it arrives, and return it.

    The stream is read on a thread, so that what has come is shown also while nothing follows.
    Ctrl-C ends it; what came is there.

    Parameters
    ----------
    reply
        The stream, open.
    redactor
        Masks secrets in the output.
    quiet
        Whether nothing is shown.
    """
    found = Streamed(reply.status, reply.headers)
    is_events = reply.headers.get("content-type", "").startswith("text/event-stream")
    items = reply.events() if is_events else reply.lines()
    coming: queue.SimpleQueue[Any] = queue.SimpleQueue()
    output = _Output(redactor, quiet=quiet)
    try:
        run_in_thread(_read, items, coming, name="api-stream")
        _take(coming, found, output)
    except KeyboardInterrupt:
        found.interrupted = True
    finally:
        reply.close()
        output.update()
    return found


def _read(items: Iterable[Any], coming: queue.SimpleQueue[Any]) -> None:
    try:
        for item in items:
            coming.put(item)
    except BaseException as error:  # noqa: BLE001 - raised again by who shows
        coming.put((_END, error))
    else:
        coming.put((_END, None))


def _take(coming: queue.SimpleQueue[Any], found: Streamed, output: _Output) -> None:
    """Display the stream until its end, and raise its error."""
    while True:
        with suppress(queue.Empty):
            item = coming.get(timeout=_EVERY)
            if isinstance(item, tuple) and item[0] is _END:
                if item[1] is not None:
                    raise item[1]
                return
            found.append(item)
            output.add(item)
        output.soon()


class _Output:
    """An output of a cell, updated ten times a second at most."""

    def __init__(self, redactor: Callable[[str], str], *, quiet: bool) -> None:
        self._redactor = redactor
        self._lines: list[str] = []
        self._count = 0
        self._live = LiveText(self._text, quiet=quiet)

    def add(self, item: Any) -> None:
        """Take an event or a line."""
        self._count += 1
        self._lines.append(_line(item, self._redactor))
        del self._lines[:-_LINES]

    def soon(self) -> None:
        """Display new content, at most ten times a second."""
        if self._live.is_due:
            self.update()

    def update(self) -> None:
        """Display new content."""
        self._live.update()

    def _text(self) -> str:
        more = self._count - len(self._lines)
        first = [f"… {more:,} before these: the result has all"] if more else []
        return "\n".join([*first, *self._lines])


def _line(item: Any, redactor: Callable[[str], str]) -> str:
    """Return how an event or a line is shown: in one line, masked, and cut where it is long."""
    text = item.data if isinstance(item, Event) else item
    with suppress(ValueError, RecursionError):
        value = json.loads(text)
        if isinstance(value, dict | list):
            text = json.dumps(clean(value, redactor), ensure_ascii=False)
    # The name apart from the data: many models call their events "token".
    kind = (
        f"{redactor(item.event)}: " if isinstance(item, Event) and item.event != "message" else ""
    )
    # Masked before it is cut: half of a secret is not known for one.
    text = text_of((kind + redactor(text[: 8 * _WIDE])).replace("\n", "⏎"))
    return cut(text, _WIDE)
