"""Streams of a task: its output as it goes, kept in the database and read from anywhere."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.workflow.spec import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STREAM", "Chunk", "StreamText", "check_stream", "joined", "piece_of"]

STREAM = "out"
"""The stream that is written where none is named."""
_TEXT = 200_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """A value of a task's stream, or the mark that some values no longer count.

    Attributes
    ----------
    value
        The value; None at a reset.
    n
        The number of the value in its stream, from 1. At a reset: how many values still count.
        All after them are to be dropped, as the attempt that wrote them has ended without a
        result; what is written in their place follows.
    stream
        The name of the stream.
    attempt
        The attempt at the task that has written it.
    step
        The name of the step that has written it; None for the agent itself.
    reset
        Whether it is the mark.
    dropped
        How many values before this one are gone, since the stream was longer than its limit.

    Examples
    --------
    >>> parts = []
    >>> for chunk in (Chunk("one", 1), Chunk("two", 2), Chunk(None, 1, reset=True), Chunk("2", 2)):
    ...     del parts[chunk.n if chunk.reset else chunk.n - 1 :]
    ...     if not chunk.reset:
    ...         parts.append(chunk.value)
    >>> parts
    ['one', '2']
    """

    value: Any
    n: int
    stream: str = STREAM
    attempt: int = 1
    step: str | None = None
    reset: bool = False
    dropped: int = 0


class StreamText:
    """The text of one stream, up to date with the chunks that it was given.

    Texts follow each other as they are; any other value is a line of JSON. Of a long text the
    last part is kept, and it begins with a line that says so.

    Parameters
    ----------
    limit
        Characters that are kept.

    Examples
    --------
    >>> text = StreamText()
    >>> for n, word in enumerate(("one ", "two", {"more": 3}), 1):
    ...     text.add(Chunk(word, n))
    >>> str(text).splitlines()
    ['one two', '{"more": 3}']
    >>> text.add(Chunk(None, 1, reset=True))
    >>> str(text), text.resets
    ('one ', 1)
    """

    def __init__(self, limit: int = _TEXT) -> None:
        self.resets = 0
        self._limit = limit
        self._parts: deque[tuple[int, str]] = deque()
        self._length = self._left_out = self._missing = 0
        self._n = self._skipped = 0

    @property
    def n(self) -> int:
        """How many values of the stream count."""
        return self._n

    def add(self, chunk: Chunk) -> None:
        """Add a value, or drop those that a reset names."""
        self._n = chunk.n
        if chunk.reset:
            self.resets += 1
            while self._parts and self._parts[-1][0] > chunk.n:
                self._length -= len(self._parts.pop()[1])
            if not chunk.n:
                self._left_out = self._missing = self._skipped = 0
            return
        self._missing += chunk.dropped
        text = piece_of(chunk.value)
        if not isinstance(chunk.value, str) and self._parts and self._parts[-1][1][-1:] != "\n":
            text = f"\n{text}"
        self._parts.append((chunk.n, text))
        self._cut(text)

    def _cut(self, text: str) -> None:
        """Count a text, and leave out what is too long."""
        self._length += len(text)
        while self._length > self._limit and len(self._parts) > 1:
            self._left_out += len(self._parts[0][1])
            self._length -= len(self._parts.popleft()[1])
        if self._length > self._limit:
            number, only = self._parts.pop()
            self._left_out += self._length - self._limit
            self._length = self._limit
            self._parts.append((number, only[-self._limit :]))

    def skip(self, values: int) -> None:
        """Note that the first values of the stream are not given."""
        self._skipped = values

    @property
    def note(self) -> str:
        """The line that says what is missing before the text; empty if nothing is."""
        words = []
        if self._missing:
            words.append(f"{self._missing:,} values are gone: the stream is longer than its limit")
        if self._skipped:
            words.append(f"the first {self._skipped:,} values are left out here")
        if self._left_out:
            words.append(f"the first {self._left_out:,} characters are left out here")
        return f"… {'; '.join(words)}" if words else ""

    def __str__(self) -> str:
        text = "".join(part for _, part in self._parts)
        return f"{self.note}\n{text}" if self.note else text


def piece_of(value: Any) -> str:
    r"""Return a value as a piece of a text: a text as it is, any other as a line of JSON.

    >>> piece_of("one "), piece_of({"a": "é"})
    ('one ', '{"a": "é"}\n')
    """
    return value if isinstance(value, str) else f"{json.dumps(value, ensure_ascii=False)}\n"


def joined(texts: Mapping[str, StreamText]) -> str:
    r"""Return the texts of streams as one, each below its name; that of a single one as it is.

    >>> draft, log = StreamText(), StreamText()
    >>> draft.add(Chunk("one two", 1)), log.add(Chunk("asked", 1))
    (None, None)
    >>> joined({"draft": draft})
    'one two'
    >>> joined({"draft": draft, "log": log})
    '[draft]\none two\n[log]\nasked'
    """
    if len(texts) == 1:
        return str(next(iter(texts.values())))
    return "\n".join(f"[{name}]\n{str(text).removesuffix(chr(10))}" for name, text in texts.items())


def check_stream(name: Any) -> str:
    """Return the name of a stream: any text that can be printed.

    Raises
    ------
    UsageError
        It is none, or longer than 200 characters.
    """
    return printable(name, "a stream", "draft")
