"""A line as words: split as a shell would, JSON and ``:name`` kept as what they are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from agentnb.core.errors import UsageError

__all__ = ["PLAIN", "Word", "word_at", "words"]

_BIND = re.compile(r":[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?=\s|\Z)")
PLAIN = re.compile(r"""[^\s'"]+""")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line: its text, where it stood, and its value if it was JSON or a bind."""

    text: str
    start: int
    end: int
    kind: str = "plain"  # or "quoted", "json", "bind"
    value: Any = None


def words(text: str, *, start: int = 0) -> tuple[list[Word], str | None]:
    """Split a text into words, up to ``--``; return them and what comes after it.

    Examples
    --------
    >>> [w.text for w in words('add q {"a": [1, 2]} "two words" --delay 5')[0]]
    ['add', 'q', '{"a": [1, 2]}', 'two words', '--delay', '5']
    >>> words("run image -- pytest -q 'a b'")[1]
    "pytest -q 'a b'"

    Raises
    ------
    UsageError
        A quote that is not closed, or malformed JSON.
    """
    found: list[Word] = []
    at = start
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text.startswith("--", at) and (at + 2 == len(text) or text[at + 2].isspace()):
            return found, text[at + 3 :]
        word = word_at(text, at)
        found.append(word)
        at = word.end
    return found, None


def word_at(text: str, at: int) -> Word:
    """Return the word that begins at a place which is not a space."""
    if text[at] in "{[":
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UsageError(
                f"malformed JSON at character {error.pos - at + 1} of {text[at:][:40]!r}: "
                f"{error.msg}",
                service="magic",
                hint='names and text are in double quotes: {"name": "value"}',
            ) from error
        return Word(text[at:end], at, end, "json", value)
    if bind := _BIND.match(text, at):
        return Word(bind.group(), at, bind.end(), "bind")
    parts: list[str] = []
    start, kind = at, "plain"
    while at < len(text) and not text[at].isspace():
        if text[at] in "'\"":
            end = text.find(text[at], at + 1)
            if end < 0:
                raise UsageError(f"a quote is not closed: {text[at:][:40]}", service="magic")
            parts.append(text[at + 1 : end])
            at, kind = end + 1, "quoted"
        else:
            plain = PLAIN.match(text, at)
            assert plain is not None  # noqa: S101 - neither space nor quote stands here
            parts.append(plain.group())
            at = plain.end()
    return Word("".join(parts), start, at, kind)
