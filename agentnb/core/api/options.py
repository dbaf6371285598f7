"""Options of a client, which each call may override."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agentnb.core.api.arguments import Options, StreamOptions
from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.headers import check_mapping, header_text
from agentnb.core.ranges import amount, flag, whole
from agentnb.core.ranges import seconds as seconds_of
from agentnb.core.redact import Secret
from agentnb.core.resilience import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.api.arguments import Auth

__all__ = ["ResolvedOptions", "header_of", "headers_of"]

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_EXPECT = ("json", "text", "bytes")
_LONGEST_TIMEOUT = 365 * 86_400  # an operating system takes no number of seconds


STREAM_BYTES = 50_000_000
IDLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ResolvedOptions:
    """The options of one call, checked."""

    headers: dict[str, str]
    timeout: float | None
    retry: RetryPolicy
    max_bytes: int
    schema: Any
    expect: str = "json"
    follow_redirects: bool = False
    every: bool = False
    """Whether any method is made again, since the call asked for it."""
    streams: bool = False
    idle: float | None = None
    max_event: int = 1_000_000

    def attempts(self, method: str) -> int:
        """Return the attempts that a method may make: only GET and HEAD are repeated by default."""
        return self.retry.attempts if self.every or method in {"GET", "HEAD"} else 1

    def _known(self) -> set[str]:
        """Return the names of the options that a call of this kind takes."""
        return set((StreamOptions if self.streams else Options).__annotations__)

    def for_stream(self) -> ResolvedOptions:
        """Return these options as a call that streams begins with: no limit in total."""
        return replace(
            self, streams=True, timeout=None, idle=IDLE_SECONDS, max_bytes=STREAM_BYTES, schema=None
        )

    def but(self, options: Mapping[str, Any]) -> ResolvedOptions:
        """Return these options but for those that a call gives.

        Raises
        ------
        UsageError
            There is no such option, or it cannot have that value.
        """
        if not options:
            return self
        changes: dict[str, Any] = {}
        known = self._known()
        for name, value in options.items():
            if name not in known:
                raise UsageError(
                    f"a call has no option {name!r}",
                    service="api",
                    hint=did_you_mean(name, known) or f"options: {', '.join(known)}",
                )
            if name == "auth":
                continue
            if name == "headers":
                changes["headers"] = _merged(self.headers, value)
            elif name == "retries":
                changes |= {"retry": policy_of(value), "every": True}
            elif name in {"params", "form", "files"}:
                check_mapping(value, f"{name}=", "api")
            elif name == "etag":
                check_etag(value)
            else:
                changes[name] = value
        if "auth" in options:
            headers = dict(changes.get("headers", self.headers))
            headers.pop("authorization", None)
            changes["headers"] = headers | header_of(options["auth"])
        return checked(replace(self, **changes))


def check_etag(value: object) -> None:
    """Refuse a value that is no ETag.

    Raises
    ------
    UsageError
        It is none.
    """
    if value is not None and not (isinstance(value, str) and _ETAG.fullmatch(value)):
        raise UsageError(
            f"etag must be an ETag in its quotes, got {value!r:.60}",
            service="api",
            hint="give the etag of an earlier reply as it is: etag=reply.etag",
        )


def checked(resolved: ResolvedOptions) -> ResolvedOptions:
    """Return options, if they can be had.

    Raises
    ------
    UsageError
        They cannot.
    """
    timeout = resolved.timeout
    if timeout is not None:
        hint = "timeout=30, or None for no limit"
        seconds_of("timeout", timeout, service="api", hint=hint)
        amount("timeout", timeout, service="api", most=_LONGEST_TIMEOUT, hint=hint)
    flag("follow_redirects", resolved.follow_redirects, service="api")
    whole("max_bytes", resolved.max_bytes, service="api", hint="max_bytes=10_000_000")
    if resolved.streams:
        whole("max_event", resolved.max_event, service="api")
        if resolved.idle is not None:
            seconds_of("idle", resolved.idle, service="api", hint="seconds, or None for no limit")
    if resolved.expect not in _EXPECT:
        raise UsageError(
            f"expect must be one of {', '.join(_EXPECT)}, got {resolved.expect!r:.60}",
            service="api",
            hint="expect='text' returns the text of the reply",
        )
    if resolved.schema is not None:
        from agentnb.core.codec import check_schema

        check_schema(resolved.schema, "api")
    return resolved


def policy_of(retries: int | RetryPolicy) -> RetryPolicy:
    """Return the retry policy of a number of retries.

    Raises
    ------
    UsageError
        It is neither.
    """
    if isinstance(retries, RetryPolicy):
        return retries
    again = whole("retries", retries, service="api", least=0, hint="retries=3, or a RetryPolicy")
    return RetryPolicy(attempts=again + 1, first=0.2, cap=5.0)


def header_of(auth: Auth | None) -> dict[str, str]:
    """Return the header that says who calls.

    >>> header_of(("ada", "s3cret")), header_of(None)
    ({'authorization': 'Basic YWRhOnMzY3JldA=='}, {})

    Raises
    ------
    UsageError
        It is neither a token nor a pair of user and password.
    """
    if auth is None:
        return {}
    if isinstance(auth, str | Secret):
        if not _text(auth).strip():
            raise UsageError(
                "auth= is an empty token", service="api", hint="auth=None sends no token"
            )
        return headers_of({"authorization": f"Bearer {_text(auth)}"})
    if isinstance(auth, tuple) and len(auth) == 2:  # noqa: PLR2004 - a pair
        if ":" in _text(auth[0]):  # what is behind it would be taken for the password
            raise UsageError(
                "the user of auth= holds a colon, which HTTP cannot carry",
                service="api",
                hint="auth=(USER, PASSWORD); only a password may hold one",
            )
        pair = f"{_text(auth[0])}:{_text(auth[1])}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    raise UsageError(
        f"auth= cannot be a {type(auth).__name__}",
        service="api",
        hint="a token, or a pair of user and password",
    )


def _text(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def headers_of(headers: Mapping[str, str | None] | None) -> dict[str, str]:
    """Return headers by their names in lower case; those that are None are left away.

    Raises
    ------
    UsageError
        A name or a value that HTTP cannot carry; the value is not shown.
    """
    return _merged({}, headers)


def _merged(before: dict[str, str], headers: Mapping[str, str | None] | None) -> dict[str, str]:
    check_mapping(headers, "headers=", "api")
    found = dict(before)
    for name, value in (headers or {}).items():
        if value is None and isinstance(name, str):
            found.pop(name.lower(), None)
        else:
            found[str(name).lower()] = header_text(name, value, "api")
    return found
