"""Bodies: values to bytes, and bytes to values, read no further than they may be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agentnb.core.api.forms import Form
from agentnb.core.api.unpack import Unpackable, Unpacker
from agentnb.core.codec import Json
from agentnb.core.errors import InvalidResponse, UsageError
from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Body", "charset_of", "content_of", "invalid", "snippet_of", "value_of"]

_JSON = "application/json"
_BINARY = "application/octet-stream"
_EMPTY = (204, 205, 304)
_CHARSET = re.compile(r"charset=\"?(?P<name>[\w.:-]+)", re.IGNORECASE)
# What an error's body is read of at most: it is only to be shown.
_GLANCE = 16_384


class Body:
    """A body while it is read: unpacked piece by piece, never further than the limit.

    Parameters
    ----------
    status, headers
        The reply's. Of an error's body only the beginning is kept.
    limit
        Bytes that it may have once unpacked.

    Raises
    ------
    InvalidResponse
        It is too large, broken, or packed in a way that was not asked for.
    """

    def __init__(self, status: int, headers: Mapping[str, str], limit: int) -> None:
        self._status, self._headers, self._limit = status, headers, limit
        self._excerpt = status >= 300  # noqa: PLR2004 - only the beginning will be shown
        if self._excerpt:
            self._limit = min(limit, _GLANCE)
        self._parts: list[bytes] = []
        self._size = 0
        try:
            self._unpacker = Unpacker(headers)
        except Unpackable as error:
            raise self._invalid(str(error)) from error
        declared = headers.get("content-length", "")
        if not self._excerpt and declared.isdecimal() and int(declared) > limit:
            raise self._too_large(int(declared))

    def feed(self, part: bytes) -> bool:
        """Take a part as it came, and return whether there is to be more."""
        try:
            return all(map(self._add, self._unpacker.feed(part)))
        except Unpackable as error:
            raise self._invalid(str(error)) from error

    def done(self) -> bytes:
        """Return all of it."""
        if not self._excerpt:
            try:
                self._unpacker.end()
            except Unpackable as error:
                raise self._invalid(str(error)) from error
        return b"".join(self._parts)

    def _add(self, part: bytes) -> bool:
        self._size += len(part)
        if self._size > self._limit:
            if not self._excerpt:
                raise self._too_large(None)
            part = part[: len(part) - (self._size - self._limit)]
        self._parts.append(part)
        return self._size <= self._limit

    def _too_large(self, size: int | None) -> InvalidResponse:
        found = f"{size:,} bytes" if size else "larger than that"
        return self._invalid(
            f"its body may have {self._limit:,} bytes and is {found}",
            hint="ask for less, or give max_bytes=",
        )

    def _invalid(self, why: str, hint: str | None = None) -> InvalidResponse:
        snippet = snippet_of(b"".join(self._parts)[:_GLANCE])
        return invalid(why, self._status, self._headers, snippet, hint)


def invalid(
    why: str,
    status: int,
    headers: Mapping[str, str],
    snippet: str = "",
    hint: str | None = None,
) -> InvalidResponse:
    """Return the error of an invalid reply."""
    kind = headers.get("content-type")
    error = InvalidResponse(why, service="api", hint=hint)
    error.status, error.content_type, error.snippet = status, kind, snippet
    return error


def charset_of(headers: Mapping[str, str]) -> str:
    """Return the charset that a reply says its text has; UTF-8 where it says none.

    >>> charset_of({"content-type": 'text/plain; charset="Latin-1"'}), charset_of({})
    ('latin-1', 'utf-8')
    """
    found = _CHARSET.search(headers.get("content-type", ""))
    return found["name"].lower() if found else "utf-8"


def snippet_of(body: bytes) -> str:
    """Return how a body begins, as one line without secrets."""
    from agentnb.core.redact import redact

    text = body[:_GLANCE].decode("utf-8", "replace")
    return text_of(redact(" ".join(text.split())))


def content_of(data: Any) -> tuple[bytes | None, str | None]:
    """Return the body that a value is sent as, and its content type.

    Raises
    ------
    UsageError
        The value has no JSON form.
    """
    if data is None:
        return None, _JSON
    if isinstance(data, Form):
        return data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), _BINARY
    return _json.raw(data), _JSON


def value_of(
    status: int, headers: Mapping[str, str], body: bytes, *, method: str, expect: str, schema: Any
) -> Any:
    """Return the value of a body.

    Parameters
    ----------
    expect
        ``"json"``, ``"text"`` or ``"bytes"``.
    schema
        The type of the JSON.

    Raises
    ------
    InvalidResponse
        It is no JSON, or not the schema's.
    """
    if status in _EMPTY or method == "HEAD" or (not body and method != "GET"):
        return None
    if expect == "bytes":
        return body
    charset = charset_of(headers)
    if expect == "text" or charset not in {"utf-8", "utf8", "us-ascii"}:
        try:
            text = body.decode(charset, "replace" if expect == "text" else "strict")
        except (LookupError, UnicodeDecodeError) as error:
            raise invalid(f"its text is no {charset}", status, headers) from error
        if expect == "text":
            return text
        body = text.encode()
    try:
        return _json.decode(body.removeprefix(b"\xef\xbb\xbf"), schema)
    except UsageError as error:
        cause = error.__cause__ or error
        kind = headers.get("content-type")
        snippet = snippet_of(body)
        if schema is not None:
            name = getattr(schema, "__name__", schema)
            why = f"its body is not {name}: {cause}"
        else:
            said = f"but {text_of(kind)}" if kind else "and has no content type"
            why = f"its body is no JSON {said}: {snippet or 'nothing'}"
        hint = None if schema is not None else 'expect="text" (--text) takes it as it is'
        raise invalid(why, status, headers, snippet, hint) from cause


def event_value(data: str, schema: Any) -> Any:
    """Return the value of an event's data.

    Raises
    ------
    InvalidResponse
        It is no JSON, or not the schema's.
    """
    try:
        return _json.decode(data.encode(), schema)
    except UsageError as error:
        snippet = snippet_of(data.encode())
        why = f"an event's data is no JSON: {snippet or 'nothing'}"
        if schema is not None:
            why = (
                f"an event is not {getattr(schema, '__name__', schema)}: {error.__cause__ or error}"
            )
        hint = "event.data is the text as it came"
        raise invalid(why, 200, {}, snippet, hint) from error.__cause__ or error


_json = Json("api", "the data", limit=0, setting="")
