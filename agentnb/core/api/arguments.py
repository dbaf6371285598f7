"""The keyword arguments of clients and of calls, for type checkers and for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from agentnb.core.redact import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentnb.core.api.download import Workspace
    from agentnb.core.api.request import Reply, Request
    from agentnb.core.resilience import RetryPolicy

__all__ = ["Auth", "CallOptions", "ClientOptions", "JsonOptions", "Options", "StreamOptions"]

Auth: TypeAlias = str | Secret | tuple[str, str | Secret]


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


class CallOptions(TypedDict, total=False):
    """The keyword arguments of a call, but for those that decide the type of its result."""

    params: Mapping[str, Any] | None
    headers: Mapping[str, str | None] | None
    auth: Auth | None
    timeout: float | None
    retries: int | RetryPolicy
    max_bytes: int
    follow_redirects: bool
    form: Mapping[str, Any] | None
    files: Mapping[str, Any] | None


class JsonOptions(CallOptions, total=False):
    """The keyword arguments of a call whose result is any JSON; see `Options`."""

    schema: None
    expect: Literal["json"]
    etag: str | None


class Options(CallOptions, total=False):
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

    schema: Any
    expect: Literal["json", "text", "bytes"]
    etag: str | None


class StreamOptions(CallOptions, total=False):
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
