"""Replacing a piece of a text: only where it is found as often as expected, line ends kept."""

from __future__ import annotations

import errno
import os
import re
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Final, NamedTuple

from agentnb.core.errors import UsageError
from agentnb.core.files.names import shown
from agentnb.core.files.reading import bytes_of, hash_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Edit", "Edited", "edited"]

_CONTEXT: Final = 3
_NAMED: Final = 5
_END: Final = re.compile(r"\r?\n")


@dataclass(frozen=True, slots=True)
class Edited:
    """The change of an edit.

    Parameters
    ----------
    path
        The file.
    count
        The number of replacements.
    diff
        The change, as ``diff -u`` shows it. Line ends are not shown.
    hash
        The `hash_of` the file's new content.
    """

    path: str
    count: int
    diff: str = field(repr=False)
    hash: str = field(repr=False)

    def __str__(self) -> str:
        return self.diff


class Edit:
    """An edit of one file: its arguments and its result.

    Parameters
    ----------
    path
        The file.
    old, new
        The old and the new text.
    count
        The number of occurrences of ``old``.
    encoding
        The file's.

    Raises
    ------
    UsageError
        The texts are none, are the same, or cannot be encoded.
    """

    def __init__(self, path: str, old: object, new: object, count: int, encoding: str) -> None:
        for name, text in (("old", old), ("new", new)):
            if not isinstance(text, str):
                raise UsageError(
                    f"{name} must be text, got {text!r:.60}",
                    service="files",
                    hint="files.edit(PATH, OLD, NEW)",
                )
        self._old, self._new = str(old), str(new)
        if not self._old or self._old.replace("\r\n", "\n") == self._new.replace("\r\n", "\n"):
            what = "old is empty" if not self._old else "old and new are the same text"
            raise UsageError(
                f"{what}: nothing was written",
                service="files",
                hint="old is the text that is there; append(path, text) adds to the end",
            )
        self._path, self._count, self._encoding = path, count, encoding
        before, after = (bytes_of(text, path, encoding) for text in (self._old, self._new))
        # At most: each line end may become one of two characters.
        ends = self._new.count("\n")
        self.growth = count * max(0, len(after) + ends - len(before))
        self._done: Edited | None = None

    @property
    def done(self) -> Edited:
        """The change that `apply` made."""
        if self._done is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self._done

    def apply(self, before: bytes | None) -> bytes:
        """Return the new content of the file.

        Raises
        ------
        UsageError
            As `edited`; the file is no text, or the rest of it would be encoded otherwise.
        FileNotFoundError
            There is none.
        """
        if before is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        text = text_of(before, self._path, self._encoding)
        if text.encode(self._encoding) != before:
            raise UsageError(
                f"the rest of {shown(self._path)} would be written otherwise in {self._encoding}",
                service="files",
                hint="name the encoding with its byte order, such as utf-16-be",
            )
        text, diff = edited(text, self._old, self._new, count=self._count, path=self._path)
        after = bytes_of(text, self._path, self._encoding)
        self._done = Edited(self._path, self._count, diff, hash_of(after))
        return after


class _Span(NamedTuple):
    """A piece of a text and its replacement, in lines and in characters."""

    start: int
    end: int
    text: str


def edited(text: str, old: str, new: str, *, count: int, path: str) -> tuple[str, str]:
    r"""Return a text in which one piece took the place of another, and the change as a diff.

    A line end of ``old`` fits ``\n`` and ``\r\n``; those of ``new`` become as those that they
    replace, further ones as the others there.

    Parameters
    ----------
    text, old, new
        The text, the old piece and the new one.
    count
        The number of occurrences of ``old``.
    path
        The text's file, for errors and the diff.

    Raises
    ------
    UsageError
        ``old`` is there more or less often, or overlaps itself.

    Examples
    --------
    >>> edited("a = 1\r\nb = 2\r\n", "b = 2\n", "b = 3\n", count=1, path="x.py")[0]
    'a = 1\r\nb = 3\r\n'
    """
    plain, piece = text.replace("\r\n", "\n"), old.replace("\r\n", "\n")
    found = _positions(plain, piece, path)
    if len(found) != count:
        raise _misfit(plain, piece, found, count, path)
    ends = _Ends(text)
    spans, line, before = [], 0, 0
    for at in found:
        line += plain.count("\n", before, at)
        before = at
        last = line + piece.count("\n")
        put = ends.adapted(new, line, last)
        spans.append(_Span(ends.original(at, line), ends.original(at + len(piece), last), put))
    return _spliced(text, spans), _diff(text, spans, path)


def _positions(text: str, piece: str, path: str) -> list[int]:
    """Return where a piece is found."""
    found = []
    at = text.find(piece)
    while at >= 0:
        found.append(at)
        following = text.find(piece, at + 1)
        if 0 <= following < at + len(piece):
            raise UsageError(
                f"old overlaps itself in line {_line(text, at):,} of {shown(path)}; "
                "nothing was written",
                service="files",
                hint="give more of the text around it",
            )
        at = following
    return found


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _misfit(text: str, piece: str, found: list[int], count: int, path: str) -> UsageError:
    times = "once" if count == 1 else f"{count:,} times"
    if found:
        numbers = list(dict.fromkeys(_line(text, at) for at in found[:_NAMED]))
        named = ", ".join(f"{number:,}" for number in numbers)
        more = ", …" if len(found) > _NAMED else ""
        lines = "line" if len(numbers) == 1 and not more else "lines"
        is_there = "once" if len(found) == 1 else f"{len(found):,} times"
        message = f"old is {is_there} in {shown(path)} ({lines} {named}{more}), not {times}"
        hint = f"give more of the text around it, or count={len(found)}"
    else:
        message = f"old is not in {shown(path)}"
        hint = "read the file again and copy the text as it is there"
        if "".join(piece.split()) and "".join(piece.split()) in "".join(text.split()):
            hint = "it is there with other spaces, indentation or line ends: copy it as it is there"
    return UsageError(f"{message}; nothing was written", service="files", hint=hint)


class _Ends:
    r"""The line ends of a text, by their positions in the text with ``\n`` alone."""

    def __init__(self, text: str) -> None:
        self.kinds = _END.findall(text)
        self._wide = [0, *accumulate(len(kind) - 1 for kind in self.kinds)]
        self._common = max(("\n", "\r\n"), key=self.kinds.count)

    def original(self, at: int, line: int) -> int:
        """Return the position in the original text of one in a line, counted from 0."""
        return at + self._wide[line]

    def adapted(self, new: str, first: int, last: int) -> str:
        """Return the replacement of some lines, with their line ends."""
        if not self.kinds:
            return new
        here = self.kinds[first : max(last, first + 1)] or [self._common]
        text, *lines = new.replace("\r\n", "\n").split("\n")
        ends = chain(here, repeat(here[0] if len(set(here)) == 1 else self._common))
        return text + "".join(end + line for end, line in zip(ends, lines, strict=False))


def _spliced(text: str, spans: Sequence[_Span]) -> str:
    pieces, at = [], 0
    for start, end, put in spans:
        pieces += [text[at:start], put]
        at = end
    return "".join([*pieces, text[at:]])


def _diff(text: str, spans: Sequence[_Span], path: str) -> str:
    """Return the change as a unified diff."""
    lines = _lines(text)
    blocks = deque(_blocks(text, lines, spans))
    out = [f"--- {shown(path)}", f"+++ {shown(path)}"]
    shift = 0
    while blocks:
        hunk = [blocks.popleft()]
        while blocks and blocks[0][0] - hunk[-1][1] <= 2 * _CONTEXT:
            hunk.append(blocks.popleft())
        first = max(0, hunk[0][0] - _CONTEXT)
        last = min(len(lines), hunk[-1][1] + _CONTEXT)
        body, at, growth = [], first, 0
        for start, end, put in hunk:
            body += [*_marked(" ", lines[at:start]), *_marked("-", lines[start:end])]
            body += _marked("+", put)
            growth += len(put) - (end - start)
            at = end
        body += _marked(" ", lines[at:last])
        count = last - first
        out.append(f"@@ -{_at(first, count)} +{_at(first + shift, count + growth)} @@")
        out += body
        shift += growth
    return "\n".join(out) + "\n"


def _lines(text: str) -> list[str]:
    r"""Return the lines of a text, which end with ``\n`` alone."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _at(first: int, count: int) -> str:
    return f"{first + 1 if count else first},{count}"


def _marked(mark: str, lines: Sequence[str]) -> list[str]:
    out = []
    for line in lines:
        out.append(mark + line.removesuffix("\n").removesuffix("\r"))
        if not line.endswith("\n"):
            out.append("\\ No newline at end of file")
    return out


def _blocks(
    text: str, lines: Sequence[str], spans: Sequence[_Span]
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the lines that change: first, behind the last, and those in their place."""
    starts = [0, *accumulate(map(len, lines))]
    left = deque(spans)
    while left:
        inside = [left.popleft()]
        first = bisect_right(starts, inside[0].start) - 1
        stop = _stop(starts, inside[-1])
        while left and left[0].start < starts[stop]:
            inside.append(left.popleft())
            stop = _stop(starts, inside[-1])
        base = starts[min(first, stop)]
        moved = [_Span(s.start - base, s.end - base, s.text) for s in inside]
        put = _lines(_spliced(text[base : starts[stop]], moved))
        first = min(first, stop)
        same = 0
        while same < min(stop - first, len(put)) and lines[first + same] == put[same]:
            same += 1
        first, put = first + same, put[same:]
        while first < stop and put and lines[stop - 1] == put[-1]:
            stop -= 1
            put.pop()
        if first < stop or put:
            yield first, stop, put


def _stop(starts: Sequence[int], span: _Span) -> int:
    """Return the line behind the last one that a span touches."""
    return min(bisect_right(starts, span.end), len(starts) - 1)
