"""Secrets in one text: the patterns of `agentnb.core.redact`, less what only looks like one."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentnb.core.redact import MASK, PATTERNS, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Hit", "find_secrets"]

_EXCERPT = 100  # characters of the line that are shown
_SHORTEST_KNOWN = 4  # a known value under this many characters would be found everywhere

# String literals and comments of Python, told apart by a pattern rather than by tokenize, which
# stops at the first line of magic or shell.
_LITERAL = re.compile(
    r"\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''"
    r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|\#[^\n]*",
    re.DOTALL,
)
_NOT_PYTHON = re.compile(
    r"^[ \t]*(?:[\w., ]+=\s*)?[%!].*$", re.MULTILINE
)  # a line of magic or shell
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_DATA_URI = re.compile(r"base64,[A-Za-z0-9+/=]{64,}")
_WRAPPING = re.compile(
    r"^(?:\\+\"|[rbfu]{0,2}[\"'])(?P<inner>.*?)\\*[\"']?$", re.IGNORECASE | re.DOTALL
)

# A value that stands for one: a template, a variable, a mask, a word such as "changeme", a type.
_PLACEHOLDER = re.compile(
    r"""^(?:
      [<\[({$%:?&|/\\=].* | \.{2,}.* | …+ | [-_•*#xX.]+ | .*(?:•|\*{3}|redacted|\.{3}|…).*
    | (?:your|my|the|some|example|dummy|fake|test)[-_ ]?.*(?:pass|secret|token|key|here|value).*
    | (?:change|replace|fill|insert|put)[-_ ]?(?:me|this|in|it).* | (?:to[-_ ]?do|tbd|n/?a)
    | (?:pass(?:word|wd|phrase)?|pwd?|secret|token|(?:api[-_]?)?key|hidden|required|optional)
    | (?:none|null|nil|true|false|undefined|nan|empty|unset|missing|default)
    | (?:str|string|bytes|int|float|bool|any|object|optional|union|text|varchar|secret(?:str)?)
    )(?:[\[(|].*)?$""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_TEMPLATE = re.compile(r"\$?\{[^{}]*\}|%\(\w+\)s|\$\w+")
_IDENTIFIER = re.compile(r"^[A-Za-z_][\w.]*(?:[\[(].*)?$", re.DOTALL)
_LETTERS = re.compile(r"^[A-Za-z ]+$")
_Spot = tuple[int, int, str]  # start, end, kind
# The first of several targets of one assignment, whose values stand behind each other.
_TARGETS = re.compile(r"\s*(?:[\w.]+\s*,\s*)+[\w.]*")
_MAY_BE_A_TEMPLATE = {"option of a command", "variable of the environment", "cookie"}
_SCHEME = re.compile(r"^(?:bearer|basic) ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hit:
    """One secret in a text.

    Parameters
    ----------
    line
        The line it starts on, from 1.
    kind
        The kind of secret, such as ``"password in a URL"``.
    excerpt
        That line, with every secret in it masked, cut to 100 characters.
    value
        The secret itself.
    """

    line: int
    kind: str
    excerpt: str
    value: str = field(default="", repr=False, compare=False)

    @property
    def is_named(self) -> bool:
        """Return whether it was only found by the name in front of it."""
        return self.kind == "secret value"


def find_secrets(text: str, *, code: bool = False, secrets: Iterable[str] = ()) -> list[Hit]:
    """Find secrets in a text.

    Parameters
    ----------
    text
        The text; terminal colours in it are ignored.
    code
        Whether the text is Python: names and calls are then no values, only
        what stands in its strings, comments and lines of magic or shell.
    secrets
        Values that are known to be secret; those under four characters are
        not looked for.

    Examples
    --------
    >>> find_secrets('db = "postgresql://ada:hunter22@db/app"', code=True)
    [Hit(line=1, kind='password in a URL', excerpt='db = "postgresql://ada:••••••@db/app"')]
    >>> find_secrets('connect(password=os.environ["PW"])', code=True)
    []
    """
    text = _DATA_URI.sub("base64,", _ANSI.sub("", text))
    spots: list[_Spot] = []
    for spot in sorted(_spots(text, code=code, secrets=secrets), key=lambda spot: spot[:2]):
        if not spots or spot[0] >= spots[-1][1]:  # a stretch of text is one secret, not two
            spots.append(spot)
    return list(_hits(text, spots))


def _hits(text: str, spots: list[_Spot]) -> Iterator[Hit]:
    line, counted, at = 1, 0, 0
    while at < len(spots):
        # All secrets on a line are masked before any of it is cut off and shown.
        first = text.rfind("\n", 0, spots[at][0]) + 1
        masked, copied, marks = "", first, []
        while at < len(spots) and "\n" not in text[copied : spots[at][0]]:
            start, end, kind = spots[at]
            line, counted = line + text.count("\n", counted, start), start
            masked += text[copied:start]
            marks.append((len(masked), kind, text[start:end]))
            masked, copied, at = masked + MASK, end, at + 1
        last = text.find("\n", copied)
        masked += text[copied : last if last >= 0 else None]
        for mark, kind, value in marks:
            yield Hit(line, kind, _cut(masked, mark), value)


def _cut(line: str, at: int) -> str:
    first, last = max(0, at - _EXCERPT // 2), at + len(MASK) + _EXCERPT // 2
    shown = redact(line[first:last].strip())
    return ("…" if first else "") + shown + ("…" if last < len(line) else "")


def _spots(text: str, *, code: bool, secrets: Iterable[str]) -> Iterator[_Spot]:
    for value in secrets:
        if len(value) >= _SHORTEST_KNOWN:
            for found in re.finditer(re.escape(value), text):
                yield (*found.span(), "known secret")
    literals = _Spans(text) if code else None
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            span = _real(match, kind, literals)
            if span:
                yield (*span, kind)


def _real(match: re.Match[str], kind: str, literals: _Spans | None) -> tuple[int, int] | None:
    """Return where the secret of a match is, or None if the match only looks like one."""
    value = match["value"]
    if kind == "secret value":
        return _real_value(match, literals)
    if kind == "authorization header":
        real = any(character.isdigit() for character in value)  # "basic authentication" is prose
    elif kind == "password in a URL":
        real = not re.match(r"\d{1,5}[?#]", value) and not _is_placeholder(value)  # not a port
    else:
        real = kind not in _MAY_BE_A_TEMPLATE or not _is_placeholder(value)
    return match.span("value") if real else None


def _real_value(match: re.Match[str], literals: _Spans | None) -> tuple[int, int] | None:
    value, (start, end) = match["value"], match.span("value")
    wrapped = _WRAPPING.match(value)
    if wrapped:
        # The quote may as well close a string: print("password:", ...).
        real = not literals or literals.may_open_at(start)
        start, end = start + wrapped.start("inner"), start + wrapped.end("inner")
        value = wrapped["inner"]
    elif literals and not literals.covers(start):
        real = False  # an expression of Python
    else:
        real = not _is_prose(match, value)
    prefix = _SCHEME.match(value)
    if prefix:
        start, value = start + prefix.end(), value[prefix.end() :]
    if real and literals and _TARGETS.fullmatch(_line_before(match)):
        # password, user = "a", "b": which of the values is the secret is not told apart.
        end = match.string.find("\n", end)
        end = len(match.string) if end < 0 else end
    one_line = "\n" not in match.group() and "\r" not in match.group()
    return (start, end) if real and one_line and not _is_placeholder(value) else None


def _line_before(match: re.Match[str]) -> str:
    return match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]


def _is_placeholder(value: str) -> bool:
    value = _TEMPLATE.sub("", value).strip(" \t,;")
    return not value or bool(_PLACEHOLDER.match(value))


def _is_prose(match: re.Match[str], value: str) -> bool:
    """Tell ``Token: this is ...`` and ``token: 5`` and ``password=get()`` from a value."""
    if "token" in match["key"].lower() and value.isdigit():
        return True
    if "(" in value or "[" in value:
        return bool(_IDENTIFIER.match(value))
    if ":" not in match["key"]:
        return False
    after = match.string[match.end() :].split("\n", 1)[0].strip(" .,;'\"})]")
    return bool(_LETTERS.match(value)) and bool(after)


class _Spans:
    """Where the strings, comments and lines of magic or shell of a Python text are."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._literals = [match.span() for match in _LITERAL.finditer(text)]
        self._opens = {start for start, _ in self._literals}
        self._others = [
            match.span()
            for match in _NOT_PYTHON.finditer(text)
            if not _inside(self._literals, match.start())
        ]
        if re.match(r"\s*%%", text):
            self._others = [(-1, len(text))]  # the body of a cell magic need not be Python

    def covers(self, at: int) -> bool:
        """Tell whether what stands here is text rather than an expression."""
        return _inside(self._literals, at) or _inside(self._others, at)

    def may_open_at(self, at: int) -> bool:
        """Tell whether a quoted value may begin here, rather than a string end here."""
        quote = at
        while quote < len(self._text) and self._text[quote] not in "\"'":
            quote += 1
        return quote in self._opens or self.covers(at)


def _inside(spans: list[tuple[int, int]], at: int) -> bool:
    index = bisect.bisect_left(spans, (at, at)) - 1
    return index >= 0 and spans[index][0] < at < spans[index][1]
