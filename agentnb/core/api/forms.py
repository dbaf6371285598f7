"""Fields of queries and forms, and files that are uploaded."""

from __future__ import annotations

import mimetypes
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Form", "pairs_of"]

_URLENCODED = "application/x-www-form-urlencoded"
_BINARY = "application/octet-stream"
# Source: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def pairs_of(fields: Mapping[str, Any], what: str) -> list[tuple[str, str | bytes]]:
    """Return the names and texts of a query's or a form's fields; those that are None are left out.

    >>> pairs_of({"page": 2, "tag": ["a", "b"], "all": True, "none": None}, "params")
    [('page', '2'), ('tag', 'a'), ('tag', 'b'), ('all', 'true')]

    Raises
    ------
    UsageError
        A value has no text: it is a dictionary, or has no JSON form.
    """
    found: list[tuple[str, str | bytes]] = []
    for name, value in fields.items():
        many = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
        found += [(_name(name, what), _text(name, one, what)) for one in many if one is not None]
    return found


def _name(name: Any, what: str) -> str:
    """Return the name of a field or a file.

    Raises
    ------
    UsageError
        It is no text or number, or text that has no UTF-8.
    """
    if isinstance(name, str | int) and _is_unicode(str(name)):
        return str(name)
    raise UsageError(
        f"the name of a field of {what} must be text, got {name!a:.80}",
        service="api",
        hint=f'{what}={{"name": "value"}}',
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(name: str, value: Any, what: str) -> str | bytes:
    if isinstance(value, bytes) or (isinstance(value, str) and _is_unicode(value)):
        return value
    from agentnb.core.codec import NOT_JSON, decode, to_json

    try:
        plain = decode(to_json(value))
    except NOT_JSON as error:
        raise _no_text(name, value, what) from error
    if isinstance(plain, bool):
        return str(plain).lower()
    if not isinstance(plain, str | int | float):
        raise _no_text(name, value, what)
    return str(plain)


def _no_text(name: str, value: Any, what: str) -> UsageError:
    return UsageError(
        f"{what}[{name!r}] cannot be a {type(value).__name__}",
        service="api",
        hint="give text, a number, a truth value, a date, or a list of these; "
        "json.dumps(...) makes text of what is nested",
    )


class Form:
    r"""A form as the body of a call: fields, or fields and files.

    Parameters
    ----------
    fields
        Names and values.
    files
        Names, and for each bytes, a `pathlib.Path`, an open file, or a pair of a file's name and
        one of these.

    Raises
    ------
    UsageError
        A value cannot be sent.

    Examples
    --------
    >>> Form({"name": "Ada", "tag": ["a", "b"]}).encode()
    (b'name=Ada&tag=a&tag=b', 'application/x-www-form-urlencoded')
    >>> Form({}, {"data": ("a.csv", b"1,2\n")})
    Form(fields=[], files={'data': 'a.csv, 4 bytes'})
    """

    def __init__(
        self, fields: Mapping[str, Any] | None, files: Mapping[str, Any] | None = None
    ) -> None:
        self._fields = dict(fields or {})
        self._pairs = pairs_of(self._fields, "form")
        self._files = [
            (_name(name, "files"), *_file(name, value)) for name, value in (files or {}).items()
        ]

    def described(self) -> dict[str, Any]:
        """Return the form for a log: the fields, and the files' sizes."""
        files = {name: f"{called}, {len(data):,} bytes" for name, called, data in self._files}
        return self._fields | files

    def encode(self) -> tuple[bytes, str]:
        """Return the bytes, and their content type."""
        if not self._files:
            return urlencode(self._pairs).encode(), _URLENCODED
        boundary = secrets.token_hex(16)  # which nobody who chose the content could know
        parts = []
        for name, value in self._pairs:
            content = value.encode() if isinstance(value, str) else value
            parts.append(_part(boundary, f'name="{name.translate(_ESCAPES)}"', "", content))
        for name, called, data in self._files:
            kind = mimetypes.guess_type(called)[0] or _BINARY
            about = f'name="{name.translate(_ESCAPES)}"; filename="{called.translate(_ESCAPES)}"'
            parts.append(_part(boundary, about, f"Content-Type: {kind}\r\n", data))
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        return body, f"multipart/form-data; boundary={boundary}"

    def __repr__(self) -> str:
        files = {name: f"{called}, {len(data):,} bytes" for name, called, data in self._files}
        return f"Form(fields={list(self._fields)}, files={files})"


def _part(boundary: str, about: str, kind: str, content: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {about}\r\n{kind}\r\n"
    return head.encode() + content + b"\r\n"


def _file(name: str, value: Any) -> tuple[str, bytes]:
    """Return the name and the content of a file."""
    called, content = value if isinstance(value, tuple) and len(value) == 2 else (None, value)  # noqa: PLR2004 - a pair
    if isinstance(content, Path):
        called = called or content.name
        try:
            content = content.read_bytes()
        except OSError as error:
            raise UsageError(
                f"files[{name!r}] cannot be read: {error.strerror}",
                service="api",
                hint="give the path of a file, or its bytes",
            ) from error
    elif hasattr(content, "read"):
        called = called or Path(str(getattr(content, "name", ""))).name
        content = content.read()
    if isinstance(content, bytearray | memoryview):
        content = bytes(content)
    if not isinstance(content, bytes) or not isinstance(called, str | None):
        raise UsageError(
            f"files[{name!r}] cannot be a {type(content).__name__}",
            service="api",
            hint='give bytes, pathlib.Path("a.csv"), a file opened as "rb", or ("a.csv", bytes)',
        )
    return _name(called or name, "files"), content
