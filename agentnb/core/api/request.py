"""What goes out and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentnb.core.api.address import shown

if TYPE_CHECKING:
    from agentnb.core.resilience import Deadline

__all__ = ["Answer", "Call", "Outgoing", "Pause", "Reply", "Request", "Send"]


@dataclass(slots=True)
class Request:
    """A call before it is sent: what ``on_request`` may look at and change.

    Attributes
    ----------
    method, url
        As ``"POST"``, and the whole URL.
    headers
        By their names in lower case. Not shown: they hold credentials.
    data
        The value that will be sent as JSON, bytes that will be sent as they are, or None.
    """

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    data: Any = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"Request({self.method} {shown(self.url)})"


@dataclass(slots=True)
class Reply:
    """What an API answered: what ``on_response`` may look at and change.

    Attributes
    ----------
    status
        The HTTP status, 200 to 299.
    headers
        By their names in lower case. Not shown: they may set cookies.
    data
        The decoded body; None where there is none.
    url
        Where it came from in the end.
    method
        As ``"GET"``.
    attempts
        How many it took.
    ms
        How long all of it took, in milliseconds.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    data: Any = field(repr=False)
    url: str
    method: str = "GET"
    attempts: int = 1
    ms: float = 0.0

    def __repr__(self) -> str:
        return f"Reply({self.method} {shown(self.url)}: {self.status})"


@dataclass(slots=True)
class Outgoing:
    """One attempt, as the transport sends it.

    Parameters
    ----------
    silence
        Seconds without a byte after which it is given up; None for no limit.
    deadline
        When all of it has to be over.
    limit
        Bytes that the body may have.
    """

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None
    silence: float | None
    deadline: Deadline
    limit: int


@dataclass(slots=True)
class Answer:
    """What came back of one attempt."""

    status: int
    headers: dict[str, str]
    body: bytes


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
