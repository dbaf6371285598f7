"""Patterns of paths: ``*``, ``?``, ``[a-z]`` in a name, ``**`` for any folders, ``{a,b}``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import TYPE_CHECKING

from agentnb.core.errors import PathEscape, UsageError
from agentnb.core.files.names import shown
from agentnb.core.files.walking import DEEPEST
from agentnb.core.ranges import text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Pattern", "patterns_of"]

_MOST = 1000
_DEEPEST = 20
_MAGIC = re.compile(r"[*?\[]")
_ANY = "**"


def patterns_of(pattern: str) -> list[Pattern]:
    """Return the patterns that one with braces stands for.

    >>> [one.parts for one in patterns_of("src/*.{ts,tsx}")]
    [('src', '*.ts'), ('src', '*.tsx')]

    Raises
    ------
    UsageError
        It stands for more than 1,000 patterns, has a range such as ``{1..3}``, or a brace that is
        not closed; ``[{]`` is the character.
    PathEscape, UsageError
        As `Pattern.of`.
    """
    pattern = text("pattern", pattern, service="files", hint="such as src/**/*.py")
    return [Pattern.of(one) for one in _alternatives(pattern)]


def _alternatives(pattern: str) -> list[str]:
    """Return the alternatives of a pattern with braces; ``{a}`` is itself."""
    done, left = [], [("", pattern)]
    while left:
        head, tail = left.pop()
        opened, parts, rest = _braces(tail)
        if not parts:
            done.append(head + tail)
        elif len(parts) == 1:
            if ".." in parts[0]:
                raise UsageError(
                    f"{{{shown(parts[0])}}} is a range, which patterns do not have",
                    service="files",
                    hint="list its members: {1,2,3}",
                )
            left += [
                (f"{head}{opened}{{{inner}}}", rest) for inner in reversed(_alternatives(parts[0]))
            ]
        else:
            left += [(head + opened, part + rest) for part in reversed(parts)]
        if len(done) + len(left) > _MOST:
            raise UsageError(
                f"the pattern {shown(pattern[:80])} stands for more than {_MOST:,} patterns",
                service="files",
                hint="use * where the names do not matter",
            )
    return done


def _braces(pattern: str) -> tuple[str, list[str], str]:
    """Return the text before the first closed braces, inside of them, and after them."""
    depth, start, commas = 0, -1, list[int]()
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "[" and (end := _class_end(pattern, at)) > 0:
            at = end
        elif character == "{":
            if not depth:
                start, commas = at, []
            depth += 1
            if depth > _DEEPEST:
                raise _no_braces(pattern, f"has braces in more than {_DEEPEST} braces")
        elif character == "," and depth == 1:
            commas.append(at)
        elif character == "}" and depth:
            depth -= 1
            if not depth:
                cuts = [start, *commas, at]
                parts = [pattern[a + 1 : b] for a, b in pairwise(cuts)]
                return pattern[:start], parts, pattern[at + 1 :]
        at += 1
    if depth:
        raise _no_braces(pattern, "has a brace that is not closed")
    return pattern, [], ""


def _no_braces(pattern: str, what: str) -> UsageError:
    return UsageError(
        f"the pattern {shown(pattern[:80])} {what}",
        service="files",
        hint="{a,b} stands for a or b; [{] is the character",
    )


def _class_end(pattern: str, at: int) -> int:
    """Return where a class such as ``[!a-z]`` ends, or -1 where it is none."""
    first = at + 1 + (pattern[at + 1 : at + 2] in {"!", "^"})
    end = pattern.find("]", first + 1)
    return end if "/" not in pattern[at:end] else -1


def _negated(name: str) -> str:
    """Return a pattern of a name with ``[!a]`` in place of ``[^a]``.

    >>> _negated("[^a]*[[^]"), _negated("^[a^]")
    ('[!a]*[[^]', '^[a^]')
    """
    pieces, at = [], 0
    while (start := name.find("[", at)) >= 0 and (end := _class_end(name, start)) > 0:
        inner = name[start + 1 : end + 1]
        pieces += [name[at : start + 1], "!" + inner[1:] if inner[0] == "^" else inner]
        at = end + 1
    return "".join([*pieces, name[at:]])


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of paths; name by name, so that no name can pass for a slash.

    Parameters
    ----------
    parts
        A pattern for each name; ``**`` for any number of names.
    start
        The names in front that are no pattern: where to begin to look.
    depth
        The depth to search from there.

    Examples
    --------
    >>> pattern = Pattern.of("src/**/*.py")
    >>> pattern.start, pattern.fits(["src", "a", "b.py"]), pattern.fits(["src", "b.txt"])
    (['src'], True, False)
    """

    parts: tuple[str, ...]
    start: list[str]
    depth: int

    @classmethod
    def of(cls, pattern: str) -> Pattern:
        """Take a pattern apart.

        Raises
        ------
        UsageError
            It is empty, or is no text.
        PathEscape
            It begins outside of the workspace, or has a ``..``.
        """
        parts = [_negated(part) for part in pattern.split("/") if part not in {"", "."}]
        if pattern.startswith("/") or ".." in parts:
            raise PathEscape(
                f"the pattern {shown(pattern)} leaves the workspace",
                service="files",
                hint="patterns are relative to the workspace, and go down only: src/**/*.py",
            )
        if not parts:
            raise UsageError(
                f"{shown(pattern)} is no pattern", service="files", hint="such as src/**/*.py"
            )
        plain = next((at for at, part in enumerate(parts) if _MAGIC.search(part)), len(parts) - 1)
        depth = DEEPEST if _ANY in parts else len(parts) - plain
        return cls(tuple(parts), parts[:plain], depth)

    def fits(self, names: Sequence[str]) -> bool:
        """Return whether a path, given by its names, matches."""
        # The patterns that may come next, as positions: however many ** there are, each name
        # is looked at once for each.
        states = self._on({0})
        for name in names:
            after = {at for at in states if self._is_any(at)}
            after |= {
                at + 1
                for at in states
                if at < len(self.parts)
                and not self._is_any(at)
                and fnmatchcase(name, self.parts[at])
            }
            states = self._on(after)
        return len(self.parts) in states

    def _is_any(self, at: int) -> bool:
        return at < len(self.parts) and self.parts[at] == _ANY

    def _on(self, states: set[int]) -> set[int]:
        """Add the positions that follow a ``**`` which matches nothing."""
        found = set(states)
        for at in sorted(states):
            while self._is_any(at):
                at += 1  # noqa: PLW2901 - the way on from here
                found.add(at)
        return found
