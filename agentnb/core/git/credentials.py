"""Logins for remotes, kept out of URLs, files, process lists and messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from agentnb.core.errors import UsageError
from agentnb.core.git.arguments import plain
from agentnb.core.redact import MASK, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PROTOCOLS", "Login", "clean", "is_local", "logins", "split_url"]

PROTOCOLS: Final = ("https", "http", "ssh", "file")
"""What a repository is fetched by. ``ext`` runs a command, ``git`` has no login and no key."""

# All of it: a token often stands alone, where a user's name would be.
_USERINFO = re.compile(r"\b(?P<scheme>https?://)[^\s/'\"]+@", re.IGNORECASE)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)(?P<mark>://|::)")
_SCP = re.compile(r"(?:[^\s/:@]+@)?[^\s/:]+:(?!//)")
# Said on the command line without the values, which are in the environment of this one process.
_HELPER = (
    '!f() {{ test "$1" = get && '
    "printf 'username=%s\\npassword=%s\\n' \"$AGENTNB_GIT_USER_{0}\" "
    '"$AGENTNB_GIT_PASSWORD_{0}"; }}; f'
)


@dataclass(frozen=True, slots=True)
class Login:
    """A login at one server.

    Parameters
    ----------
    url
        The server: ``https://host`` or ``https://host:port``.
    user
        The user's name.
    password
        The password or token.
    """

    url: str
    user: str
    password: Secret

    def settings(self, number: int) -> list[tuple[str, str]]:
        """Return the git settings that use it, and for this server nothing else.

        Others would be told to store it.
        """
        key = f"credential.{self.url}.helper"
        return [(key, ""), (key, _HELPER.format(number))]

    def environment(self, number: int) -> dict[str, str]:
        """Return the variables that those settings read."""
        return {
            f"AGENTNB_GIT_USER_{number}": self.user,
            f"AGENTNB_GIT_PASSWORD_{number}": self.password.reveal(),
        }


def clean(text: str) -> str:
    """Return a text without the logins in its URLs.

    >>> clean("cannot reach https://token@host/app.git and http://a:b@c@host/")
    'cannot reach https://••••••@host/app.git and http://••••••@host/'
    """
    return _USERINFO.sub(lambda found: f"{found['scheme']}{MASK}@", text) if "@" in text else text


def split_url(url: str) -> tuple[str, Login | None]:
    """Return a URL without its login, and the login.

    Parameters
    ----------
    url
        ``https://``, ``http://``, ``ssh://``, ``file://``, ``user@host:path``, or a folder.

    Raises
    ------
    UsageError
        It looks like an option, or asks for a way of transport that could run a command.
    """
    found = _SCHEME.match(plain(url, "URL"))
    if found is None or found["mark"] == "::":
        # Git would run a program by that name: git-remote-ext, git-remote-fd, ...
        if "::" in url.partition("/")[0]:
            raise _not_allowed(url.partition("::")[0])
        return url, None
    scheme = found["scheme"].lower()
    if scheme not in PROTOCOLS:
        raise _not_allowed(scheme)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(
            "the URL is malformed",
            service="git",
            hint="hub.git.clone('https://HOST/OWNER/NAME.git')",
        ) from error
    userinfo, at, host = parts.netloc.rpartition("@")
    if host.startswith("-"):
        raise UsageError(
            "the host of the URL looks like an option",
            service="git",
            hint="a host does not begin with -: https://HOST/OWNER/NAME.git",
        )
    if not at or scheme not in {"https", "http"}:
        return url, None
    user, colon, password = userinfo.partition(":")
    if not colon:
        user, password = "x-access-token", user
    server = urlunsplit((scheme, host, "", "", ""))
    login = Login(server, unquote(user), Secret(unquote(password)))
    return urlunsplit((scheme, host, parts.path, parts.query, "")), login


def _not_allowed(scheme: str) -> UsageError:
    return UsageError(
        f"git may not use {scheme[:40]!r} here",
        service="git",
        hint=f"allowed are {', '.join(PROTOCOLS)}, and folders",
    )


def is_local(url: str) -> bool:
    """Return whether a URL is a folder of this machine, whose git will run here."""
    scheme = _SCHEME.match(url)
    if scheme is not None:
        return scheme["scheme"].lower() == "file"
    return _SCP.match(url) is None or url.startswith(("/", "."))


def logins(urls: Iterable[str]) -> list[Login]:
    """Return the logins of URLs such as ``https://user:token@host``.

    Raises
    ------
    UsageError
        One of them has none.
    """
    found = []
    for url in urls:
        _, login = split_url(url)
        if login is None:
            raise UsageError(
                "a login for git is malformed",
                service="git",
                hint="AGENTNB_GIT_CREDENTIALS=https://USER:TOKEN@HOST",
            )
        found.append(login)
    return found
