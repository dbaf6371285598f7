"""Names as a drawing shows them: one short line, with no sign that a terminal obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LONGEST", "label", "labels"]

LONGEST = 40
"""Characters of a name."""
_JOINERS = "\u200c\u200d"  # letters of Persian and pictures of people are written with them


def label(text: str, longest: int = LONGEST) -> str:
    r"""Return a name in one line, cut with a "…".

    >>> label("a\n b\x1b[31m"), label("x" * 50, 4), label(" ")
    ('a b�[31m', 'xxx…', "''")
    """
    start = text[: longest * 8]  # a text of megabytes is not searched for its blanks
    line = "".join(
        sign if sign.isprintable() or sign in _JOINERS else "�" for sign in " ".join(start.split())
    )
    if len(line) > longest or len(start) < len(text):
        line = line[: longest - 1] + "…"
    return line or "''"


def labels(names: Iterable[str]) -> dict[str, str]:
    """Return the label of each name; no two are the same.

    >>> list(labels(["a", "b" * 50 + "1", "b" * 50 + "2"]).values())[1:] == [
    ...     "b" * 39 + "…", "b" * 39 + "… (2)"]
    True
    """
    found: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        if name in found:
            continue
        first = shown = label(name)
        number = 1
        while shown in used:
            number += 1
            shown = f"{first} ({number})"
        used.add(shown)
        found[name] = shown
    return found
