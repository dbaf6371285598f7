r"""``.dockerignore`` as Docker reads it.

Source: https://docs.docker.com/build/concepts/context/#dockerignore-files and the packages
``fileutils`` (engines before 23) and ``patternmatcher`` (since) of https://github.com/moby/moby.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.docker.goregex import GoRegex
from agentnb.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["IgnoreList", "parse"]

SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go takes for white space; Python adds some control characters."""

_LONGEST_LINE = 65_535
_SURROGATE = re.compile("[\udc80-\udcff]")
_BOM = "\ufeff"
_PLAIN = re.compile(r"[\w ./-]+")
_PLAIN_END = re.compile(r"[\w .-]*$")
_ESCAPED = re.compile(r"[!-/:-@\[-`{-~]")
# Since version 23, these are compared as text, whatever else a regular expression would read.
_SIMPLE = re.compile(
    r"(?P<before>\*\*(?P<slash>/?)(?=[^*]*$))?(?P<plain>[^*?\\\[\]]*)(?P<after>(?<!^)\*\*$)?"
)

Matches = tuple[bool, ...]
"""Which patterns a folder passes on to what is in it."""


class Pattern:
    """A line of the list.

    Parameters
    ----------
    text
        The pattern, cleaned.
    keeps
        Whether the pattern re-includes files: the line began with ``!``.
    line
        Its number in the file; 0 for one that is not from there.
    modern
        Whether an engine of version 23 or newer reads it.
    """

    __slots__ = ("_end", "_plain", "_regex", "depth", "keeps", "line", "text")

    def __init__(self, text: str, *, keeps: bool, line: int, modern: bool) -> None:
        _check(text)
        self.text, self.keeps, self.line = text, keeps, line
        self.depth = text.count("/") + 1
        self._regex = GoRegex(_expression(text, modern=modern))
        # Most lines are a plain name or end with one, which leaves little to the automaton.
        end = _PLAIN_END.search(text)[0]  # type: ignore[index]  # at worst it finds nothing
        self._plain = _PLAIN.fullmatch(text) is not None
        self._end = "" if "|" in text or text[: len(text) - len(end)].endswith("\\") else end

    def matches(self, path: str) -> bool:
        """Return whether the pattern is that of a path."""
        if self._plain:
            return path == self.text
        return path.endswith(self._end) and self._regex.search(path)


class IgnoreList:
    r"""The patterns of a list, the last that matches decides.

    Parameters
    ----------
    patterns
        In their order.
    modern
        Whether a folder's verdict holds for all that is in it, at any depth, as since version 23;
        before, only that of the folder as deep as the pattern does.

    Examples
    --------
    >>> found = parse(b"**/.git\n*.log\n!keep.log\n")
    >>> [found.excludes(path) for path in (".git", "a/.git", "b.log", "keep.log", "c/d.log")]
    [True, True, True, False, False]
    """

    def __init__(self, patterns: Sequence[Pattern] = (), *, modern: bool = False) -> None:
        self._patterns, self._modern = tuple(patterns), modern
        self.top: Matches = (False,) * len(self._patterns)

    def keeping(self, *paths: str) -> IgnoreList:
        """Return a list that keeps these paths, which a build needs itself."""
        more = [
            Pattern(path, keeps=True, line=0, modern=self._modern)
            for path in paths
            if self.excludes(path)
        ]
        return IgnoreList([*self._patterns, *more], modern=self._modern)

    def judge(self, path: str, above: Matches) -> tuple[bool, Matches]:
        """Return whether a path is ignored, and the state that a folder of that name passes on.

        Parameters
        ----------
        path
            From the folder of the list, with ``/``.
        above
            The state of its folder; `top` for those at the top.
        """
        path = _SURROGATE.sub("\ufffd", path)
        depth = path.count("/") + 1
        left_out = False
        passed = []
        for pattern, inherited in zip(self._patterns, above, strict=True):
            own = pattern.matches(path)
            if own or inherited:
                left_out = not pattern.keeps
            own_counts = own and (self._modern or pattern.depth == depth)
            passed.append(own_counts or inherited)
        return left_out, tuple(passed)

    def may_keep_below(self, folder: str) -> bool:
        """Return whether a folder that is left out has to be looked into all the same."""
        return any(one.keeps and f"{one.text}/".startswith(f"{folder}/") for one in self._patterns)

    def excludes(self, path: str) -> bool:
        """Return whether a path is left out."""
        return self.reason(path) is not None

    def reason(self, path: str) -> Pattern | None:
        """Return the pattern that leaves a path out, or None."""
        above, left_out = self.top, False
        for part in _with_parents(path):
            passed_before = above
            left_out, above = self.judge(part, above)
        if not left_out:
            return None
        return next(
            one
            for one, inherited in reversed(list(zip(self._patterns, passed_before, strict=True)))
            if inherited or one.matches(_SURROGATE.sub("\ufffd", path))
        )


def parse(data: bytes, name: str = ".dockerignore", *, modern: bool = False) -> IgnoreList:
    """Return the list that a file holds.

    Parameters
    ----------
    data, name
        The file's.
    modern
        Whether an engine of version 23 or newer reads it.

    Raises
    ------
    ConfigError
        A line that Docker refuses, or that is not supported; its number is in the message.
    """
    patterns = []
    for line in _lines(data):
        if len(line.text.encode("utf-8", "surrogateescape")) > _LONGEST_LINE:
            raise _refused(name, line, f"is longer than {_LONGEST_LINE:,} bytes")
        try:
            pattern = _pattern(line, modern=modern)
        except ValueError as error:
            raise _refused(name, line, f"is not a pattern: {error}") from error
        patterns += [pattern] if pattern is not None else []
    return IgnoreList(patterns, modern=modern)


class _Line(NamedTuple):
    number: int
    text: str


def _refused(name: str, line: _Line, reason: str) -> ConfigError:
    return ConfigError(
        f"{name} line {line.number} {reason}: {line.text[:80]!r}",
        service="docker",
        hint=r"docker build refuses it too; \ before a character takes it for itself",
    )


def _lines(data: bytes) -> Iterator[_Line]:
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.removesuffix("\r").strip(SPACE)
        if stripped and not line.startswith("#"):
            yield _Line(number, stripped)


def _pattern(line: _Line, *, modern: bool) -> Pattern | None:
    keeps = line.text.startswith("!")
    text = line.text.removeprefix("!").strip(SPACE)
    # A leading slash is that of the context's folder; `.` and `..` are resolved.
    text = _clean(text) if text else ""
    if len(text) > 1:
        text = text.removeprefix("/")
    # Docker strips and cleans the whole once more, with its `!`.
    whole = (("!" if keeps else "") + text).strip(SPACE)
    if not whole:
        return None
    whole = _clean(whole)
    keeps = whole.startswith("!")
    text = whole.removeprefix("!")
    if not text:
        raise ValueError("nothing stands behind the !")
    return Pattern(text, keeps=keeps, line=line.number, modern=modern)


def _clean(path: str) -> str:
    """Return a path as Go's ``filepath.Clean`` does."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _check(pattern: str) -> None:
    r"""Raise ValueError where Go's ``filepath.Match`` finds a pattern malformed.

    It is asked about the name ``.``, as Docker does, and looks no further than it has to: what
    stands behind a ``*`` is read only if the name matches up to there.
    """
    name = "."
    while pattern:
        star, chunk, pattern = _chunk(pattern)
        if star and not chunk:
            return
        starts = [name, *([name[1:]] if star and name else [])]
        for start in starts:
            left = _rest(chunk, start)
            if left is not None and (not left or pattern):
                name = left
                break
        else:
            return


def _chunk(pattern: str) -> tuple[bool, str, str]:
    """Return whether stars lead a pattern, its text up to the next star, and the rest."""
    bare = pattern.lstrip("*")
    at, inside = 0, False
    while at < len(bare):
        char = bare[at]
        if char == "*" and not inside:
            break
        inside = char == "[" or (inside and char != "]")
        at += 1 + (char == "\\" and at + 1 < len(bare))
    return bare != pattern, bare[:at], bare[at:]


def _rest(chunk: str, name: str) -> str | None:
    """Return the rest of a name after a chunk of a pattern; None where it does not match."""
    failed, at = False, 0
    while at < len(chunk):
        char, at = chunk[at], at + 1
        failed = failed or not name
        if char == "[":
            found, at = _members(chunk, at, name)
            failed = failed or not found
        elif char != "?":
            if char == "\\":
                if at >= len(chunk):
                    raise ValueError(r"a \ at its end")
                char, at = chunk[at], at + 1
            failed = failed or char != name[:1]
        elif name[:1] == "/":
            failed = True
        name = name[1:]
    return None if failed else name


def _members(chunk: str, at: int, name: str) -> tuple[bool, int]:
    """Return whether the first character of a name is in a class, and where the class ends."""
    negated = chunk.startswith("^", at)
    at += negated
    found, count = False, 0
    while not (count and chunk.startswith("]", at)):
        low, at = _member(chunk, at)
        high = low
        if chunk.startswith("-", at):
            high, at = _member(chunk, at + 1)
        found = found or (bool(name) and low <= name[0] <= high)
        count += 1
    return found != negated, at + 1


def _member(chunk: str, at: int) -> tuple[str, int]:
    if chunk[at : at + 1] in {"", "-", "]"}:
        raise ValueError("a [ without its members")
    at += chunk[at] == "\\"
    if at + 1 >= len(chunk) or _SURROGATE.match(chunk[at]):
        raise ValueError("a [ is not closed")
    return chunk[at], at + 1


def _expression(pattern: str, *, modern: bool) -> str:
    """Return the regular expression that Docker makes of a pattern."""
    pattern = _SURROGATE.sub("\ufffd", pattern).removeprefix(_BOM)
    if modern and (simple := _SIMPLE.fullmatch(pattern)):
        begin = r"^([\s\S]*/)?" if simple["slash"] else r"^[\s\S]*"
        end = r"[\s\S]*$" if simple["after"] else "$"
        return (
            (begin if simple["before"] else "^") + _ESCAPED.sub(r"\\\g<0>", simple["plain"]) + end
        )
    escaped = ".+()$" if modern else ".$"
    made, at = ["^"], 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if pattern.startswith("**", at - 1):
            at += 1
            at += pattern.startswith("/", at)
            made.append("(.*/)?" if at < len(pattern) else ".*")
        elif char == "*":
            made.append("[^/]*")
        elif char == "?":
            made.append("[^/]")
        elif char in escaped:
            made.append("\\" + char)
        elif char == "\\":
            made.append("\\" + pattern[at : at + 1])
            at += 1
        else:
            made.append(char)
    return "".join(made) + "$"
