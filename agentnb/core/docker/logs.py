"""Output of containers: the engine's frames as lines, each with its stream, in bounded memory."""

from __future__ import annotations

from collections import deque
from html import escape
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["LINE", "OUTPUT", "Lines", "LogLine", "Logs", "collect"]

LINE = 65_536
"""Bytes of one line that are kept; of a longer one the rest is counted, and said."""

OUTPUT = 1_000_000
"""Bytes of output that are kept unless told otherwise: the newest."""

_HEADER = 8
_STAMP = 36  # with its space; 2026-01-31T12:00:00.000000000Z, or with a zone
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}
# What a line takes beside its text, so that many short ones are bounded, too.
_OVERHEAD = 150
_SHOWN = 200


class LogLine(NamedTuple):
    """A line that a container printed.

    Parameters
    ----------
    stream
        ``"stdout"`` or ``"stderr"``; a terminal (``tty=True``) has only the first.
    text
        Without its end. Bytes that are no UTF-8 are replaced.

    Examples
    --------
    >>> line = LogLine("stdout", "up and running")
    >>> str(line), "running" in line
    ('up and running', True)
    """

    stream: str
    text: str

    def __str__(self) -> str:
        return self.text

    def __contains__(self, text: object) -> bool:
        """Whether the line holds a text."""
        return isinstance(text, str) and text in self.text


class _Line:
    """The line of one stream that has no end yet."""

    __slots__ = ("begun", "dropped", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = bytearray()
        self.dropped = 0
        self.begun = False

    def add(self, data: bytes) -> None:
        self.begun = True
        room = LINE - len(self.text)
        self.text += data[:room]
        self.dropped += max(0, len(data) - room)

    def take(self) -> LogLine:
        text = self.text.removesuffix(b"\r").decode("utf-8", "replace")
        if self.dropped:
            text += f"… ({self.dropped:,} bytes more in this line)"
        self.text, self.dropped, self.begun = bytearray(), 0, False
        return LogLine(self.name, text)


class Lines:
    r"""Assembles lines from the engine's frames.

    Source: https://docs.docker.com/reference/api/engine/ (ContainerAttach, stream format): each
    frame has 8 bytes in front, the first of which is the stream and the last four the length.

    Parameters
    ----------
    tty
        Whether the output is a terminal's, which has no frames.
    stamped
        Whether each frame begins with its time, as the engine writes it: that of the newest is in
        `newest`, by stream. After `skip_seen`, frames up to there are left out.

    Examples
    --------
    >>> lines = Lines()
    >>> list(lines.feed(b"\x01\0\0\0\0\0\0\x05one\nt\x02\0\0\0\0\0\0\x04bad\n"))
    [LogLine(stream='stdout', text='one'), LogLine(stream='stderr', text='bad')]
    >>> list(lines.end())
    [LogLine(stream='stdout', text='t')]
    """

    def __init__(self, *, tty: bool = False, stamped: bool = False) -> None:
        self._tty, self._stamped = tty, stamped
        self.newest: dict[str, bytes] = {}
        self._seen: dict[str, bytes] = {}
        self._skipping = False
        self._open = {name: _Line(name) for name in ("stdout", "stderr")}
        self._current = self._open["stdout"]
        self._head = b""
        self._left = 0

    def feed(self, data: bytes) -> Iterator[LogLine]:
        """Yield the lines that end in this piece of the stream."""
        if self._tty:
            yield from self._split(self._current, data)
            return
        data = self._head + data
        at, size = 0, len(data)
        while at < size:
            if not self._left:
                begun = self._begin(data, at)
                if begun is None:
                    break
                at = begun
            end = min(size, at + self._left)
            self._left -= end - at
            piece, at = data[at:end], end
            if self._skipping:
                continue
            # Nearly always a frame is one whole line, and nothing is open.
            if (
                piece[-1:] == b"\n"
                and not self._current.begun
                and piece.find(b"\n") == len(piece) - 1 < LINE
            ):
                text = piece[:-2] if piece[-2:] == b"\r\n" else piece[:-1]
                yield LogLine(self._current.name, text.decode("utf-8", "replace"))
            else:
                yield from self._split(self._current, piece)
        self._head = data[at:]

    def _begin(self, data: bytes, at: int) -> int | None:
        """Read the header of a frame; return the start of its payload, None if it is incomplete."""
        if len(data) - at < _HEADER:
            return None
        size = int.from_bytes(data[at + 4 : at + _HEADER])
        line = self._open[_STREAMS.get(data[at], "stderr")]
        start = at + _HEADER
        if self._stamped:
            if len(data) - start < min(size, _STAMP):
                return None
            space = data.find(b" ", start, start + size) + 1
            stamp, size, start = data[start : space - 1], size - (space - start), space
            self._skipping = stamp <= self._seen.get(line.name, b"")
            self.newest[line.name] = stamp
        self._left, self._current = size, line
        return start

    def skip_seen(self) -> None:
        """Skip the lines that were read before, since the stream is read again."""
        self._seen = dict(self.newest)
        self._head, self._left = b"", 0

    def end(self) -> Iterator[LogLine]:
        """Yield the last line, which has no line end."""
        for line in self._open.values():
            if line.begun:
                yield line.take()

    @staticmethod
    def _split(line: _Line, data: bytes) -> Iterator[LogLine]:
        *whole, rest = data.split(b"\n")
        for piece in whole:
            line.add(piece)
            yield line.take()
        if rest:
            line.add(rest)


class Logs(str):
    r"""The output of a container: a text and its lines, of which the newest are kept.

    It compares, slices, matches and encodes as the text, with ``\n`` behind each line. A loop
    over it goes through the lines, and ``len`` counts them.

    Parameters
    ----------
    lines
        In the order in which they came. Each stream is in its own order; between the two it is
        that in which the engine read them.
    truncated
        Whether there were more.

    Examples
    --------
    >>> logs = Logs([LogLine("stdout", "one"), LogLine("stderr", "oh")])
    >>> logs.stdout, logs.stderr, str(logs), len(logs)
    ('one\n', 'oh\n', 'one\noh\n', 2)
    >>> "oh" in logs, logs == "one\noh\n", logs[:3], [line.stream for line in logs]
    (True, True, 'one', ['stdout', 'stderr'])
    """

    __slots__ = ("lines", "truncated")

    lines: tuple[LogLine, ...]
    truncated: bool

    def _to_tape(self) -> tuple[object, ...]:
        """Return the parts that a tape keeps: a replay has the streams, too."""
        return [list(line) for line in self], self.truncated

    @classmethod
    def _from_tape(cls, lines: list[list[str]], truncated: bool) -> Logs:  # noqa: FBT001 - of a tape
        """Return the output of its parts."""
        return cls([LogLine(stream, text) for stream, text in lines], truncated=truncated)

    def __new__(cls, lines: Iterable[LogLine], *, truncated: bool = False) -> Self:  # noqa: D102 - as the class
        kept = tuple(lines)
        self = super().__new__(cls, _text(kept))
        self.lines, self.truncated = kept, truncated
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return _logs, (self.lines, self.truncated)

    @property
    def stdout(self) -> str:
        """The lines of the output stream."""
        return _text(line for line in self.lines if line.stream == "stdout")

    @property
    def stderr(self) -> str:
        """The lines of the error stream."""
        return _text(line for line in self.lines if line.stream == "stderr")

    def matching(self, text: str) -> Logs:
        """Return the lines that hold a text, upper or lower case."""
        folded = text.casefold()
        found = [line for line in self.lines if folded in line.text.casefold()]
        return Logs(found, truncated=self.truncated)

    def end(self, count: int) -> str:
        """Return the last lines as text."""
        return _text(self.lines[max(len(self.lines) - count, 0) :]).rstrip("\n")

    def __iter__(self) -> Iterator[LogLine]:  # type: ignore[override]  # lines, not characters
        return iter(self.lines)

    def __reversed__(self) -> Iterator[LogLine]:  # type: ignore[override]  # as above
        return reversed(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        return "\n".join([*self._note(), *(line.text for line in self.lines[-_SHOWN:])])

    def _note(self) -> list[str]:
        if not self.lines:
            return ["nothing was printed"]
        if len(self.lines) > _SHOWN:
            return [f"… the last {_SHOWN} of {len(self.lines):,} lines"]
        return ["… there was more before"] if self.truncated else []

    def _repr_html_(self) -> str:
        note = "".join(f'<span style="opacity:.6">{escape(one)}</span>\n' for one in self._note())
        lines = [_html(line) for line in self.lines[-_SHOWN:]]
        return f'<pre style="max-height:30em;overflow:auto">{note}{chr(10).join(lines)}</pre>'


def collect(lines: Iterable[LogLine], limit: int = OUTPUT) -> Logs:
    """Return the lines, the newest that fit.

    Parameters
    ----------
    lines
        Where they come from.
    limit
        Bytes that they may take in all.
    """
    kept: deque[LogLine] = deque()
    size, truncated = 0, False
    for line in lines:
        kept.append(line)
        size += len(line.text) + _OVERHEAD
        while size > limit and len(kept) > 1:
            size -= len(kept.popleft().text) + _OVERHEAD
            truncated = True
    return Logs(kept, truncated=truncated)


def _logs(lines: tuple[LogLine, ...], truncated: bool) -> Logs:  # noqa: FBT001 - as pickle calls it
    return Logs(lines, truncated=truncated)


def _text(lines: Iterable[LogLine]) -> str:
    texts = [line.text for line in lines]
    return "\n".join([*texts, ""]) if texts else ""


def _html(line: LogLine) -> str:
    text = escape(line.text)
    if line.stream == "stdout":
        return text
    return f'<span style="color:var(--jp-error-color1,#c62828)">{text}</span>'
