"""A line as words: split as a shell would, JSON and ``:name`` kept, a comment left out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BIND",
    "PLAIN",
    "Word",
    "each_word",
    "is_comment",
    "is_word",
    "json_at",
    "word_at",
    "words",
]

BIND = re.compile(r":[^\W\d]\w*(?:\.[^\W\d]\w*)*(?=\s|\Z)")
_BARE = re.compile(r"""(?!\#\Z)[^\s'"{\[:-][^\s'"]*""")
_COMMENT = re.compile(r"#[^\S\n][^\n]*")  # as examples have it: `#7` and a `#` at the end are words
PLAIN = re.compile(r"""[^\s'"]+""")
_BRACED = re.compile(r"\{(?P<name>[^\W\d]\w*)\}(?P<rest>[^\s'\"]*)")
_QUOTE = re.compile("""['"]""")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line: its text, where it stood, and its value if it was JSON or a bind."""

    text: str
    start: int
    end: int
    kind: str = "plain"  # or "quoted", "json", "bind", "rest"
    value: Any = None
    quoted: bool = False  # whether any part of it is in quotes


def words(text: str, *, start: int = 0, service: str = "magic") -> tuple[list[Word], str | None]:
    """Split a text into words up to ``--``; return them and the rest.

    A comment goes from ``#`` and a space to the end of its line.

    Examples
    --------
    >>> [w.text for w in words('add q {"a": [1, 2]} "two words" --delay 5')[0]]
    ['add', 'q', '{"a": [1, 2]}', 'two words', '--delay', '5']
    >>> words("run image -- pytest -q 'a b'")[1]
    "pytest -q 'a b'"
    >>> [w.text for w in words("pause mail   # until it is mended")[0]]
    ['pause', 'mail']

    Raises
    ------
    UsageError
        A quote that is not closed, or malformed JSON.
    """
    found = list(each_word(text, start=start, service=service))
    if found and found[-1].kind == "rest":
        return found[:-1], found[-1].value
    return found, None


def each_word(text: str, *, start: int = 0, service: str = "magic") -> Iterator[Word]:
    """Yield the words up to ``--``, which is itself the last one, of the kind ``"rest"``.

    Raises
    ------
    UsageError
        As `words`, after the words in front of the malformed one.
    """
    at = start
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text.startswith("--", at) and (at + 2 == len(text) or text[at + 2].isspace()):
            yield Word("--", at, len(text), "rest", text[at + 3 :])
            return
        if comment := _COMMENT.match(text, at):
            at = comment.end()
            continue
        word = word_at(text, at, service=service)
        yield word
        at = word.end


def is_comment(text: str) -> bool:
    """Return whether a text is a comment of one line, and nothing else.

    >>> is_comment("# the newest"), is_comment("#7"), is_comment("mail # late")
    (True, False, False)
    """
    return _COMMENT.fullmatch(text) is not None


def is_word(text: str) -> bool:
    """Return whether a text is one word as it is, without quotes.

    >>> is_word("user:7"), is_word("two words"), is_word("--ttl"), is_word("#")
    (True, False, False, False)
    """
    return text.isprintable() and _BARE.fullmatch(text) is not None


def json_at(text: str, at: int) -> tuple[Any, int]:
    """Return the JSON value that begins at a position, and its end.

    Raises
    ------
    json.JSONDecodeError
        There is none, or it is beyond what Python reads.
    """
    try:
        return json.JSONDecoder().raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise json.JSONDecodeError("nested too deeply", text, at) from error
    except ValueError as error:
        raise json.JSONDecodeError("a number of too many digits", text, at) from error


def _hint(text: str) -> str:
    """Return the way to write a value of the notebook, which is ``{name}`` in other magics."""
    found = _BRACED.match(text)
    if found is None:
        return 'names and text are in double quotes: {"name": "value"}'
    name = found["name"]
    if found["rest"]:
        return f'a value is a word of its own: word = f"{found.group()}", then :word'
    return f"a value of the notebook is written :{name}"


def word_at(text: str, at: int, *, service: str = "magic") -> Word:
    """Return the word that begins at a position that is not a space."""
    if text[at] in "{[":
        try:
            value, end = json_at(text, at)
        except json.JSONDecodeError as error:
            raise UsageError(
                f"malformed JSON at character {error.pos - at + 1} of {text[at:][:40]!r}: "
                f"{error.msg}",
                service=service,
                hint=_hint(text[at:]),
            ) from error
        return Word(text[at:end], at, end, "json", value)
    if bind := BIND.match(text, at):
        return Word(bind.group(), at, bind.end(), "bind")
    parts: list[str] = []
    # By its first character: `--env="A B"` is an option, though a part of it is quoted.
    start, kind = at, "quoted" if text[at] in "'\"" else "plain"
    while at < len(text) and not text[at].isspace():
        if text[at] in "'\"":
            end = text.find(text[at], at + 1)
            if end < 0:
                raise UsageError(
                    f"a quote is not closed: {text[at:][:40]}",
                    service=service,
                    hint=f"write {text[at]} at its end, too",
                )
            parts.append(text[at + 1 : end])
            at = end + 1
        else:
            plain = PLAIN.match(text, at)
            assert plain is not None  # noqa: S101 - neither space nor quote stands here
            parts.append(plain.group())
            at = plain.end()
    return Word("".join(parts), start, at, kind, quoted=_QUOTE.search(text, start, at) is not None)
