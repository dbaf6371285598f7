"""Options of a client, which each call may override."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.headers import check_mapping, header_text
from agentnb.core.ranges import amount, whole
from agentnb.core.ranges import seconds as seconds_of
from agentnb.core.redact import Secret
from agentnb.core.resilience import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentnb.core.api.download import Workspace
    from agentnb.core.api.request import Reply, Request

__all__ = [
    "Auth",
    "ClientOptions",
    "Options",
    "ResolvedOptions",
    "StreamOptions",
    "header_of",
    "headers_of",
]

Auth: TypeAlias = str | Secret | tuple[str, str | Secret]
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_EXPECT = ("json", "text", "bytes")
_LONGEST_TIMEOUT = 365 * 86_400  # an operating system takes no number of seconds


class ClientOptions(TypedDict, total=False):
    """The keyword arguments of `Hub.api`, each as `APIClient` takes it."""

    timeout: float | None
    headers: Mapping[str, str] | None
    auth: Auth | None
    retries: int | RetryPolicy
    max_bytes: int
    schema: Any
    on_request: Iterable[Callable[[Request], Any]]
    on_response: Iterable[Callable[[Reply], Any]]
    follow_redirects: bool
    params: Mapping[str, Any] | None
    cookies: bool
    workspace: Workspace | Callable[[], Workspace] | None


class Options(TypedDict, total=False):
    """The keyword arguments of a call.

    Attributes
    ----------
    params
        The query: ``{"page": 2, "tag": ["a", "b"]}``. Values that are None are left out.
    headers
        Beside the client's; one of the same name replaces it, None takes it away.
    auth
        In place of the client's; None for none.
    timeout
        Seconds for all attempts, pauses and the body together; None for no limit.
    retries
        How often a failed call of any method is repeated.
    max_bytes
        The largest body, once unpacked.
    schema
        The type of the reply; None for any JSON.
    expect
        ``"json"``, ``"text"`` or ``"bytes"``.
    follow_redirects
        Whether to go where the service says, at most 5 times.
    form
        Fields that are sent as a form in place of JSON: ``{"name": "Ada", "tag": ["a", "b"]}``.
    files
        Files that are sent as ``multipart/form-data``, with the fields of `form`: bytes, a
        `pathlib.Path`, an open file, or a pair of a file's name and one of these.
    etag
        The `Reply.etag` of an earlier reply: 304, which says that nothing has changed, is then a
        reply without data.
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
    form: Mapping[str, Any] | None
    files: Mapping[str, Any] | None
    etag: str | None


class StreamOptions(Options, total=False):
    """The keyword arguments of a streaming call, beside those of every call.

    It takes no `schema`, `expect` and `etag`, which are of whole replies.

    Attributes
    ----------
    idle
        Seconds without a byte after which the stream is given up; None for no limit.
    max_event
        Bytes that a line, or an event, may have.
    """

    idle: float | None
    max_event: int


_OF_A_STREAM = frozenset({"idle", "max_event"})
_NOT_OF_A_STREAM = frozenset({"schema", "expect", "etag"})
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
        known = set(StreamOptions.__annotations__)
        return known - (_NOT_OF_A_STREAM if self.streams else _OF_A_STREAM)

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
