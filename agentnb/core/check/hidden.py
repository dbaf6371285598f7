"""Texts that a reader of a notebook sees or decodes, and that its file holds in another way."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["hidden_texts"]

_TAG = re.compile(r"<[^<>]*>")
# The end of a string, and the start of the next that Python puts behind it.
_JOINT = re.compile(
    r"(?P<quote>[\"'])\s*+(?:\+\s*+)?(?:\\\n\s*+)?[rbfu]{0,2}(?P=quote)", re.IGNORECASE
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_LARGEST = 1_000_000
_PRINTED = 0.9


def hidden_texts(text: str, *, code: bool = False, markup: bool = False) -> Iterator[str]:
    """Yield what is written in a text in another way: in Base64, in codes of a URL, or in parts.

    >>> list(hidden_texts("x = 'aHVudGVyMjItaHVudGVyMjI='"))
    ['hunter22-hunter22']
    >>> list(hidden_texts("x = 'hunt' + 'er22'", code=True))
    ["x = 'hunter22'"]
    >>> list(hidden_texts("<b>hunt</b>er22", markup=True))
    ['hunter22']
    """
    if markup:
        yield _TAG.sub("", text)
    if "%" in text and (plain := unquote(text[:_LARGEST])) != text:
        yield plain
    if code and (joined := _JOINT.sub("", text)) != text:
        yield joined
    for found in _BASE64.finditer(text[:_LARGEST]):
        decoded = _decoded(found.group())
        if decoded is not None:
            yield decoded


def _decoded(text: str) -> str | None:
    """Return the text that Base64 stands for; None if it stands for none."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        found = data.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    printed = sum(character.isprintable() or character.isspace() for character in found)
    return found if printed >= _PRINTED * len(found) else None
