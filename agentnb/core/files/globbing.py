"""Patterns of paths: ``*``, ``?``, ``[a-z]`` within a name, ``**`` for any number of folders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from agentnb.core.errors import PathEscape, UsageError
from agentnb.core.files.names import shown
from agentnb.core.files.walking import DEEPEST
from agentnb.core.ranges import text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Pattern"]

_MAGIC = re.compile(r"[*?\[]")
_ANY = "**"


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
        How many folders deep to look from there.

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
        pattern = text("pattern", pattern, service="files", hint="such as src/**/*.py")
        parts = [part for part in pattern.split("/") if part not in {"", "."}]
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
        """Tell whether a path, as its names, matches from its beginning to its end."""
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
        """Add what may come next where a ``**`` stands for nothing."""
        found = set(states)
        for at in sorted(states):
            while self._is_any(at):
                at += 1  # noqa: PLW2901 - the way on from here
                found.add(at)
        return found
