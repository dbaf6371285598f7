r"""Regular expressions as Go reads them, matched in linear time.

Docker turns each line of a ``.dockerignore`` into a regular expression of Go's. Python's `re` reads
some of them differently, and takes exponential time for others.

Source: https://pkg.go.dev/regexp/syntax
"""

from __future__ import annotations

import string
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

__all__ = ["GoRegex"]

_MOST_NODES = 20_000
_MOST_STATES = 2_000
_MOST_REPEATS = 1_000
_LAST = "\U0010ffff"

Ranges = tuple[tuple[str, str], ...]

_DIGIT: Ranges = (("0", "9"),)
_SPACE: Ranges = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_WORD: Ranges = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_PERL = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX: dict[str, Ranges] = {
    "alnum": (("0", "9"), ("A", "Z"), ("a", "z")),
    "alpha": (("A", "Z"), ("a", "z")),
    "ascii": (("\0", "\x7f"),),
    "blank": (("\t", "\t"), (" ", " ")),
    "cntrl": (("\0", "\x1f"), ("\x7f", "\x7f")),
    "digit": _DIGIT,
    "graph": (("!", "~"),),
    "lower": (("a", "z"),),
    "print": ((" ", "~"),),
    "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
    "space": (("\t", "\r"), (" ", " ")),
    "upper": (("A", "Z"),),
    "word": _WORD,
    "xdigit": (("0", "9"), ("A", "F"), ("a", "f")),
}
_WORD_CHARS = frozenset(string.ascii_letters + string.digits + "_")
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class _Set(NamedTuple):
    """Characters by their ranges."""

    ranges: Ranges

    def has(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges)


class _Edge(Enum):
    """A condition on the place between two characters."""

    BEGIN = "^"
    END = "$"
    WORD = "b"
    NO_WORD = "B"


class _Each(NamedTuple):
    """Parts one after another."""

    parts: tuple[_Part, ...]


class _Any(NamedTuple):
    """An alternation of parts."""

    parts: tuple[_Part, ...]


class _Repeat(NamedTuple):
    """A part repeated; without an upper bound where `most` is None."""

    part: _Part
    least: int
    most: int | None


_Part = _Set | _Edge | _Each | _Any | _Repeat


def _inverted(ranges: Ranges) -> Ranges:
    made, next_low = [], 0
    for low, high in sorted(ranges):
        if ord(low) > next_low:
            made.append((chr(next_low), chr(ord(low) - 1)))
        next_low = max(next_low, ord(high) + 1)
    if next_low <= ord(_LAST):
        made.append((chr(next_low), _LAST))
    return tuple(made)


class _Parser:
    """Reads the text of an expression."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def parse(self) -> _Part:
        part = self._alternatives()
        if self._at < len(self._text):
            raise ValueError("unexpected )")
        return part

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise ValueError("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _accept(self, text: str) -> bool:
        found = self._peek(text)
        self._at += len(text) if found else 0
        return found

    def _alternatives(self) -> _Part:
        parts = [self._sequence()]
        while self._accept("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Any(tuple(parts))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        repeated = False
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            bounds = self._bounds()
            if bounds is None:
                parts.append(self._one())
                repeated = False
                continue
            if not parts:
                raise ValueError("missing argument to repetition operator")
            if repeated:
                raise ValueError("invalid nested repetition operator")
            parts[-1] = _Repeat(parts[-1], *bounds)
            repeated = True
            self._accept("?")  # fewest first: another match, but no other verdict
        return _Each(tuple(parts))

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._accept(sign):
                return bounds
        end = self._text.find("}", self._at)
        if not self._peek("{") or end < 0:
            return None
        low, comma, high = self._text[self._at + 1 : end].partition(",")
        digits = [one for one in (low, high) if one]
        if not low or not all(one.isascii() and one.isdigit() for one in digits):
            return None  # then it stands for itself
        least = int(low)
        most = int(high) if high else None if comma else least
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise ValueError("invalid repeat count")
        self._at = end + 1
        return least, most

    def _one(self) -> _Part:
        char = self._take()
        if char == "^":
            return _Edge.BEGIN
        if char == "$":
            return _Edge.END
        if char == ".":
            return _Set(_inverted((("\n", "\n"),)))
        if char == "[":
            return self._set()
        if char == "(":
            if self._peek("?") and not self._accept("?:"):
                raise ValueError("groups with (? are not supported")
            part = self._alternatives()
            if not self._accept(")"):
                raise ValueError("missing closing )")
            return part
        if char == "\\":
            return self._escape()
        return _Set(((char, char),))

    def _escape(self) -> _Part:
        if self._accept("A"):
            return _Edge.BEGIN
        if self._accept("z"):
            return _Edge.END
        if self._peek("b") or self._peek("B"):
            return _Edge(self._take())
        return _Set(self._escaped())

    def _escaped(self) -> Ranges:
        char = self._take()
        if char.lower() in _PERL and char.isascii():
            found = _PERL[char.lower()]
            return found if char.islower() else _inverted(found)
        char = _CONTROL.get(char, char)
        if not char.isascii() or char.isalnum():
            raise ValueError(f"invalid escape sequence \\{char}")
        return ((char, char),)

    def _set(self) -> _Part:
        negated = self._accept("^")
        ranges: list[tuple[str, str]] = []
        first = True
        while first or not self._peek("]"):
            first = False
            if self._peek("[:") and (named := self._named()) is not None:
                ranges += named
                continue
            low = self._member()
            if len(low) != 1 or low[0][0] != low[0][1]:
                ranges += low
                continue
            begin = end = low[0][0]
            if self._peek("-") and not self._peek("-]"):
                self._take()
                high = self._member()
                if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < begin:
                    raise ValueError("invalid character class range")
                end = high[0][0]
            ranges.append((begin, end))
        self._take()
        return _Set(_inverted(tuple(ranges)) if negated else tuple(ranges))

    def _member(self) -> Ranges:
        char = self._take()
        return self._escaped() if char == "\\" else ((char, char),)

    def _named(self) -> Ranges | None:
        end = self._text.find(":]", self._at + 2)
        if end < 0:
            return None
        name = self._text[self._at + 2 : end]
        found = _POSIX.get(name.removeprefix("^"))
        if found is None:
            raise ValueError("invalid character class range")
        self._at = end + 2
        return _inverted(found) if name.startswith("^") else found


class _Node(NamedTuple):
    """A node of the automaton: reads a character, checks an edge, or only leads on."""

    test: _Set | _Edge | None
    then: tuple[int, ...]


class _State(NamedTuple):
    """The nodes reached so far, and whether the last character is one of a word."""

    nodes: frozenset[int]
    word: bool | None


class GoRegex:
    r"""A regular expression of Go's.

    The time of a match grows with the length of the text alone, whatever the expression.

    Parameters
    ----------
    text
        The expression.

    Raises
    ------
    ValueError
        Go refuses it, or it uses what is not supported here: flags, named groups and Unicode
        classes.

    Examples
    --------
    >>> GoRegex("^(.*/)?a+b$").search("x/aab")
    True
    >>> GoRegex("^[[:digit:]]$").search("x")
    False
    """

    def __init__(self, text: str) -> None:
        self._nodes: list[_Node] = [_Node(None, ())]  # the first is the accepting one
        start = self._emit(_Parser(text).parse(), 0)
        self._first = _State(self._closure([start]), None)
        self._again = self._closure([start])
        self._moves: dict[_State, dict[str, _State | None]] = {}

    def _add(self, test: _Set | _Edge | None, *then: int) -> int:
        if len(self._nodes) >= _MOST_NODES:
            raise ValueError("it is too large")
        self._nodes.append(_Node(test, then))
        return len(self._nodes) - 1

    def _emit(self, part: _Part, then: int) -> int:
        """Add the nodes of a part that lead to `then`; return the first of them."""
        match part:
            case _Set() | _Edge():
                return self._add(part, then)
            case _Each():
                for one in reversed(part.parts):
                    then = self._emit(one, then)
                return then
            case _Any():
                return self._add(None, *[self._emit(one, then) for one in part.parts])
            case _Repeat():
                return self._emit_repeat(part, then)

    def _emit_repeat(self, part: _Repeat, then: int) -> int:
        if part.most is None:
            loop = self._add(None)
            self._nodes[loop] = _Node(None, (self._emit(part.part, loop), then))
            then = loop
        else:
            after = then
            for _ in range(part.most - part.least):
                then = self._add(None, self._emit(part.part, then), after)
        for _ in range(part.least):
            then = self._emit(part.part, then)
        return then

    def _closure(
        self, nodes: Iterable[int], edges: Container[_Edge] | None = None
    ) -> frozenset[int]:
        """Return the nodes that are reached without a character.

        Only those edges are passed that are given; where none are, they are kept for later.
        """
        seen: set[int] = set()
        left = list(nodes)
        while left:
            number = left.pop()
            if number in seen:
                continue
            seen.add(number)
            test, then = self._nodes[number]
            if test is None or (edges is not None and isinstance(test, _Edge) and test in edges):
                left += then
        return frozenset(one for one in seen if one == 0 or self._nodes[one].test is not None)

    def _move(self, state: _State, char: str) -> _State | None:
        """Return the state behind a character; None where the expression has matched."""
        word = char in _WORD_CHARS
        here = self._closure(state.nodes, _edges(state.word, word))
        if 0 in here:
            return None
        reached = [
            then
            for number in here
            if isinstance(test := self._nodes[number].test, _Set) and test.has(char)
            for then in self._nodes[number].then
        ]
        nodes = self._closure(reached) | self._again
        begin = {one for one in nodes if self._nodes[one].test is _Edge.BEGIN}
        return _State(nodes - begin, word)

    def search(self, text: str) -> bool:
        """Return whether it matches somewhere in a text."""
        state = self._first
        for char in text:
            if not state.nodes:
                return False
            moves = self._moves.get(state)
            if moves is None:
                if len(self._moves) >= _MOST_STATES:
                    self._moves = {}
                moves = self._moves.setdefault(state, {})
            if char not in moves:
                moves[char] = self._move(state, char)
            behind = moves[char]
            if behind is None:
                return True
            state = behind
        return 0 in self._closure(state.nodes, {*_edges(state.word, word=False), _Edge.END})


def _edges(before: bool | None, word: bool) -> set[_Edge]:  # noqa: FBT001 - one for each side
    """Return which edges are between two characters, by whether each is one of a word."""
    edges = {_Edge.WORD if bool(before) != word else _Edge.NO_WORD}
    return edges | {_Edge.BEGIN} if before is None else edges
