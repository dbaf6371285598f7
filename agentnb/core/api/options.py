"""What a client is told once and any of its calls may tell otherwise."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.headers import check_mapping, header_text
from agentnb.core.redact import Secret
from agentnb.core.resilience import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Auth", "Options", "Settled", "header_of", "headers_of"]

Auth: TypeAlias = str | Secret | tuple[str, str | Secret]
_EXPECT = ("json", "text", "bytes")
_LONGEST_TIMEOUT = 365 * 86_400.0  # an operating system takes no number of seconds


class Options(TypedDict, total=False):
    """What each call may be given by name.

    Attributes
    ----------
    params
        The query: ``{"page": 2, "tag": ["a", "b"]}``. What is None is left away.
    headers
        Beside the client's; one of the same name replaces it, None takes it away.
    auth
        In place of the client's; None for none.
    timeout
        Seconds for all attempts, pauses and the body together; None for no limit.
    retries
        How often a failed call is made again, whatever its method.
    max_bytes
        The largest body, once unpacked.
    schema
        What the reply must be; None for any JSON.
    expect
        ``"json"``, ``"text"`` or ``"bytes"``.
    follow_redirects
        Whether to go where the service says, at most 5 times.
    """

    params: Mapping[str, Any] | None
    headers: Mapping[str, str | None] | None
    auth: Auth | None
    timeout: float | None
    retries: int | RetryPolicy
    max_bytes: int
    schema: Any
    expect: Literal["json", "text", "bytes"]
    follow_redirects: bool


@dataclass(frozen=True, slots=True)
class Settled:
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

    def attempts(self, method: str) -> int:
        """Return how often a call is made at most: what is no GET might be done twice."""
        return self.retry.attempts if self.every or method in {"GET", "HEAD"} else 1

    def but(self, options: Mapping[str, Any]) -> Settled:
        """Return these options but for those that a call gives.

        Raises
        ------
        UsageError
            There is no such option, or it cannot have that value.
        """
        if not options:
            return self
        changes: dict[str, Any] = {}
        for name, value in options.items():
            if name == "auth":
                continue
            if name == "headers":
                changes["headers"] = _merged(self.headers, value)
            elif name == "retries":
                changes |= {"retry": policy_of(value), "every": True}
            elif name == "params":
                check_mapping(value, "params=", "api")
            elif name in {"timeout", "max_bytes", "schema", "expect", "follow_redirects"}:
                changes[name] = value
            else:
                known = Options.__annotations__
                raise UsageError(
                    f"a call has no option {name!r}",
                    service="api",
                    hint=did_you_mean(name, known) or f"options: {', '.join(known)}",
                )
        if "auth" in options:
            headers = dict(changes.get("headers", self.headers))
            headers.pop("authorization", None)
            changes["headers"] = headers | header_of(options["auth"])
        return checked(replace(self, **changes))


def checked(settled: Settled) -> Settled:
    """Return options, if they can be had.

    Raises
    ------
    UsageError
        They cannot.
    """
    seconds, size = settled.timeout, settled.max_bytes
    if seconds is not None and (
        not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST_TIMEOUT
    ):
        raise UsageError(
            f"timeout={seconds!r}",
            service="api",
            hint="seconds above 0, up to a year, or None for no limit",
        )
    if not isinstance(size, int) or size < 1:
        raise UsageError(f"max_bytes={size!r}", service="api", hint="bytes, 1 or more")
    if settled.expect not in _EXPECT:
        raise UsageError(
            f"expect={settled.expect!r}", service="api", hint=f"one of {', '.join(_EXPECT)}"
        )
    if settled.schema is not None:
        from agentnb.core.codec import check_schema

        check_schema(settled.schema, "api")
    return settled


def policy_of(retries: int | RetryPolicy) -> RetryPolicy:
    """Return how often and after which pauses, from a number of retries.

    Raises
    ------
    UsageError
        It is neither.
    """
    if isinstance(retries, RetryPolicy):
        return retries
    if not isinstance(retries, int) or retries < 0:
        raise UsageError(f"retries={retries!r}", service="api", hint="how often again, 0 or more")
    return RetryPolicy(attempts=retries + 1, first=0.2, cap=5.0)


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
        return headers_of({"authorization": f"Bearer {_text(auth)}"})
    if isinstance(auth, tuple) and len(auth) == 2:  # noqa: PLR2004 - a pair
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
