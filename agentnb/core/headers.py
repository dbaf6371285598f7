"""Headers of a request or a handshake: their checks and their secrets."""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError
from agentnb.core.redact import MASK, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["check_mapping", "credentials", "header_text", "hiding"]

_SECRET = re.compile(r"auth|cookie|key|token|secret|passw|credential|session|signature")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# They say where the body ends: one that is wrong would make two requests of one.
_FRAMING = {"content-length", "transfer-encoding"}
_SHORTEST = 4


def check_mapping(value: object, what: str, service: str) -> None:
    """Refuse anything but a mapping.

    Raises
    ------
    UsageError
        It is no mapping; it is not shown.
    """
    if value is not None and not (hasattr(value, "items") and hasattr(value, "keys")):
        raise UsageError(
            f"{what} cannot be a {type(value).__name__}",
            service=service,
            hint=f'a dictionary: {what}{{"name": "value"}}',
        )


def header_text(name: object, value: object, service: str) -> str:
    """Return the text of a header.

    >>> header_text("X-Tenant", " acme ", "api")
    'acme'

    Raises
    ------
    UsageError
        A name or a value that HTTP cannot carry; the value is not shown.
    """
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(text, str):
        raise UsageError(
            f"{name!r} cannot be a header of type {type(value).__name__}",
            service=service,
            hint="names and values are text",
        )
    if name.lower() in _FRAMING:
        raise UsageError(
            f"the header {name} is set by itself", service=service, hint="leave it away"
        )
    if not text.isascii() or not text.isprintable():
        raise UsageError(
            f"the header {name} holds what HTTP cannot carry",
            service=service,
            hint="ASCII in one line; strip() a token that was read from a file",
        )
    return text.strip()


def hiding(
    headers: Mapping[str, str], redactor: Callable[[str], str], others: Iterable[str] = ()
) -> Callable[[str], str]:
    """Return a redactor that also masks the credentials among headers, and other secrets.

    A service may repeat in an error what it was sent.

    >>> hiding({"Authorization": "Bearer abc123", "Accept": "text/html"}, str)("abc123 is old")
    '•••••• is old'
    """
    secrets = [*credentials(headers), *(one for one in others if len(one) >= _SHORTEST)]
    if not secrets:
        return redactor
    secrets.sort(key=len, reverse=True)

    def hide(text: str) -> str:
        for one in secrets:
            text = text.replace(one, MASK)
        return redactor(text)

    return hide


def credentials(headers: Mapping[str, str]) -> list[str]:
    """Return the secrets among headers: tokens, passwords, values of cookies.

    >>> credentials({"Authorization": "Bearer abc123", "Cookie": "a=1; sid=s3cret"})
    ['abc123', 'a=1; sid=s3cret', 's3cret']
    """
    return [one for name, value in headers.items() if _is_secret(name) for one in _parts(value)]


@lru_cache(maxsize=256)
def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name.lower()))


def _parts(value: str) -> list[str]:
    """Return the secrets in a header's value: token, password, values of cookies."""
    kind, _, rest = value.partition(" ")
    found = [rest if kind.lower() in {"bearer", "basic", "token"} else value]
    if kind.lower() == "basic":
        with suppress(binascii.Error, UnicodeDecodeError):
            found.append(base64.b64decode(rest, validate=True).decode().partition(":")[2])
    if "=" in value:
        found += [pair.partition("=")[2].strip('" ') for pair in value.split(";")]
    return [one for one in found if len(one) >= _SHORTEST]
