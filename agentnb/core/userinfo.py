"""User and password of a URL, also where their special characters are not percent-encoded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from agentnb.core.errors import ConfigError

__all__ = ["ENCODE", "Userinfo", "split_userinfo"]

ENCODE = (
    "special characters are percent-encoded: "
    "@ is %40, : is %3A, / is %2F, # is %23, ? is %3F, % is %25"
)
"""The hint for a special character in a password."""

_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_END_OF_AUTHORITY = re.compile(r"[/?]")


@dataclass(frozen=True, slots=True)
class Userinfo:
    """A URL, taken apart at its user and password.

    Parameters
    ----------
    scheme
        The part before ``://``.
    user, password
        Decoded; None where the URL has none.
    rest
        The part behind the ``@``: host, port, path and query.
    """

    scheme: str
    user: str | None
    password: str | None = field(repr=False)
    rest: str

    def encoded(self) -> str:
        """Return the URL with user and password percent-encoded."""
        if self.user is None:
            return f"{self.scheme}://{self.rest}"
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{self.scheme}://{quote(self.user, safe='')}{password}@{self.rest}"


def split_userinfo(url: str, service: str) -> Userinfo:
    """Split a URL at the last ``@`` before its path, as its author meant it.

    Parameters
    ----------
    url
        ``scheme://user:password@host...``; a URL without a host, such as that of a file, has
        neither user nor password.
    service
        The service that an error names.

    Raises
    ------
    ConfigError
        An ``@`` stands behind the host. It may end a password with a ``/`` or a ``?`` in it, or a
        ``%`` in the password may or may not start an escape. No part of the URL is in the message.

    Examples
    --------
    >>> parts = split_userinfo("postgresql://ada:p@ss:w#rd@db:5432/app", "db")
    >>> parts.user, parts.password, parts.rest
    ('ada', 'p@ss:w#rd', 'db:5432/app')
    >>> parts.encoded()
    'postgresql://ada:p%40ss%3Aw%23rd@db:5432/app'
    """
    scheme, _, after = url.partition("://")
    end = _END_OF_AUTHORITY.search(after)
    at = end.start() if end else len(after)
    authority, tail = after[:at], after[at:]
    if authority and "@" in tail:
        raise _special(service)
    userinfo, found, host = authority.rpartition("@")
    if not found:
        return Userinfo(scheme, None, None, after)
    user, colon, password = userinfo.partition(":")
    return Userinfo(
        scheme,
        _decoded(user, service),
        _decoded(password, service) if colon else None,
        host + tail,
    )


def _decoded(text: str, service: str) -> str:
    if not _BARE_PERCENT.search(text):
        return unquote(text)
    if _ESCAPE.search(text):
        raise _special(service)
    return text


def _special(service: str) -> ConfigError:
    return ConfigError(
        "the URL cannot be taken apart: there is a special character in the password",
        service=service,
        hint=ENCODE,
    )
