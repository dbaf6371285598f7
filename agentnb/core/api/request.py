"""Requests and replies."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from agentnb.core.api.address import shown
from agentnb.core.typevars import D

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.errors import AgentnbError
    from agentnb.core.resilience import Deadline

__all__ = [
    "Answer",
    "Call",
    "Outgoing",
    "Pause",
    "Reply",
    "Request",
    "Send",
    "Started",
    "TransportFailure",
]


@dataclass(slots=True)
class Request:
    """A call before it is sent, which ``on_request`` may change.

    Attributes
    ----------
    method, url
        As ``"POST"``, and the whole URL.
    headers
        By their names in lower case. Not shown: they hold credentials.
    data
        The value that will be sent as JSON, bytes that will be sent as they are, a `Form` (of
        `form=` and `files=`), or None.
    """

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    data: Any = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"Request({self.method} {shown(self.url)})"


@dataclass(slots=True)
class Reply(Generic[D]):
    """The reply of an API, which ``on_response`` may change.

    Attributes
    ----------
    status
        The HTTP status: 200 to 299, or 304 where the call was given an ``etag=``.
    headers
        By their names in lower case. Not shown: they may set cookies.
    data
        The decoded body; None where there is none.
    url
        The final URL, after redirects.
    method
        As ``"GET"``.
    attempts
        The number of attempts.
    ms
        Milliseconds in total.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    data: D = field(repr=False)
    url: str
    method: str = "GET"
    attempts: int = 1
    ms: float = 0.0

    @property
    def etag(self) -> str | None:
        """The version of the data, for ``etag=`` of a later call; None for none."""
        return self.headers.get("etag")

    @property
    def unchanged(self) -> bool:
        """Whether the service answered 304: the version of ``etag=`` is still current."""
        return self.status == HTTPStatus.NOT_MODIFIED

    def __repr__(self) -> str:
        return f"Reply({self.method} {shown(self.url)}: {self.status})"


@dataclass(slots=True)
class Outgoing:
    """An attempt, as the transport sends it.

    Parameters
    ----------
    silence
        Seconds without a byte after which it is given up; None for no limit.
    deadline
        When all of it has to be over.
    limit
        Bytes that the body may have.
    streams
        Whether the body of a reply that is no error is left to be read as it comes.
    """

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None
    silence: float | None
    deadline: Deadline
    limit: int
    streams: bool = False


@dataclass(slots=True)
class Answer:
    """The answer to an attempt.

    Parameters
    ----------
    cookies
        The values of ``Set-Cookie``, each as it came.
    content
        The body that is still to be read, of a call that streams.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str] = field(default_factory=list)
    content: Any = None


class Started(NamedTuple):
    """The data of a reply whose body is still to be read.

    Attributes
    ----------
    content
        Yields the body.
    doing
        Method and URL, as they may be shown.
    mask
        Masks secrets, those that the call sent included.
    since
        When the call was made, by `time.perf_counter`.
    """

    content: Any
    doing: str
    mask: Callable[[str], str]
    since: float


class TransportFailure(Exception):  # noqa: N818 - never leaves the package
    """An attempt that brought no reply.

    Parameters
    ----------
    error
        The error to raise.
    again
        Whether another attempt may help.
    """

    def __init__(self, error: AgentnbError, *, again: bool) -> None:
        super().__init__()
        self.error = error
        self.again = again


@dataclass(slots=True)
class Send:
    """The step of making one attempt; its reply is an `Answer`."""

    out: Outgoing


@dataclass(slots=True)
class Pause:
    """The step of waiting."""

    seconds: float


@dataclass(slots=True)
class Call:
    """The step of calling a function of the user's, ``def`` or ``async def``."""

    function: Any
    argument: Any
