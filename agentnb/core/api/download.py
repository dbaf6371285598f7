"""Downloads to a file of the workspace."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from agentnb.core.callthreads import current_call
from agentnb.core.errors import (
    CircuitOpen,
    DeadlineExceeded,
    InvalidResponse,
    RejectedError,
    UnavailableError,
)
from agentnb.core.resilience import Deadline
from agentnb.core.resilience.retry import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from agentnb.core.api.context import ClientContext
    from agentnb.core.api.stream import StreamReply
    from agentnb.core.resilience import RetryPolicy

    OpenStream = Callable[..., AbstractContextManager[StreamReply]]

__all__ = ["Downloaded", "Workspace", "download", "fetch"]

_PARTIAL, _NOT_SATISFIABLE = 206, 416
_RANGE = re.compile(r"bytes (?P<start>\d+)-(?P<end>\d+)/(?P<total>\d+|\*)")


class Workspace(Protocol):
    """The files that a download writes, such as a `agentnb.core.files.FileSystemManager`."""

    @property
    def max_size(self) -> int:
        """The largest file, in bytes; 0 is no limit."""

    @property
    def read_only(self) -> bool:
        """Whether everything that changes something is refused."""

    def resolve_path(self, path: str) -> Any:
        """Return where a path leads; an error if that is outside."""

    def write_file(self, path: str, content: bytes) -> None:
        """Write a file, whole or not at all."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was downloaded.

    Attributes
    ----------
    path
        As it was given.
    size
        Bytes.
    resumed
        How often the download was resumed.
    restarted
        How often the download began anew.
    headers
        The headers of the last reply.
    """

    path: str
    size: int
    resumed: int
    restarted: int
    headers: dict[str, str]

    def __repr__(self) -> str:
        more = f", resumed {self.resumed} times" if self.resumed else ""
        more += f", begun anew {self.restarted} times" if self.restarted else ""
        return f"{self.path}: {self.size:,} bytes{more}"


def download(
    context: ClientContext,
    stream: OpenStream,
    workspace: Workspace,
    url: str,
    to: str,
    on_progress: Callable[[int, int | None], object] | None,
    options: Mapping[str, Any],
) -> Downloaded:
    """Download to a file; see `APIClient.download`."""
    workspace.resolve_path(to)  # what cannot be written need not be fetched
    if workspace.read_only:
        workspace.write_file(to, b"")  # which says so
    largest = workspace.max_size or sys.maxsize
    with tempfile.TemporaryFile() as part:
        file = cast("IO[bytes]", part)
        found = fetch(context, stream, file, url, to, largest, on_progress, options)
        part.seek(0)
        workspace.write_file(to, part.read())
    return found


def fetch(
    context: ClientContext,
    stream: OpenStream,
    file: IO[bytes],
    url: str,
    name: str,
    largest: int,
    on_progress: Callable[[int, int | None], object] | None,
    options: Mapping[str, Any],
) -> Downloaded:
    """Download into an open file.

    Parameters
    ----------
    context, stream
        Those of a client.
    file
        The file, which may be begun anew.
    url, on_progress, options
        As in `APIClient.download`.
    name
        The name of the file in the result.
    largest
        Its largest size, in bytes.
    """
    resolved = context.options.for_stream().but({"max_bytes": largest, **options})
    options = {**options, "max_bytes": min(resolved.max_bytes, largest)}
    transfer = _Transfer(context, stream, file, on_progress)
    headers = transfer.fetch(url, options, resolved.retry, Deadline(resolved.timeout))
    return Downloaded(name, transfer.size, transfer.resumed, transfer.restarted, headers)


class _Transfer:
    """The state of a download: the bytes that were received, and their version."""

    def __init__(
        self,
        context: ClientContext,
        stream: OpenStream,
        part: IO[bytes],
        on_progress: Callable[[int, int | None], object] | None,
    ) -> None:
        self._context, self._stream = context, stream
        self._part, self._on_progress = part, on_progress
        self.size = self.resumed = self.restarted = 0
        self._etag: str | None = None

    def fetch(
        self, url: str, options: Mapping[str, Any], retry: RetryPolicy, deadline: Deadline
    ) -> dict[str, str]:
        """Fetch all of it, by several calls if need be, and return the headers of the last."""
        number = 1
        while True:
            before = self.size
            try:
                return self._call(url, options, deadline)
            except RejectedError as error:
                if error.status != _NOT_SATISFIABLE or not before:
                    raise
                self._begin_anew()  # it has become shorter
            except UnavailableError as error:
                final = isinstance(error, DeadlineExceeded | CircuitOpen) or not self.size
                pause = retry.pause(number)
                left = deadline.remaining()
                if final or number >= retry.attempts or (left is not None and left <= pause):
                    raise
                warn(
                    self._context.log,
                    error,
                    doing=f"API download: GET {self._context.shown(url)}",
                    number=number,
                    attempts=retry.attempts,
                    pause=pause,
                )
                self._context.count.retried()
                time.sleep(pause)
                call = current_call("api")
                if call is not None and call.cancelled:
                    raise
                number += 1

    def _call(self, url: str, options: Mapping[str, Any], deadline: Deadline) -> dict[str, str]:
        headers = {"accept": "*/*", **(options.get("headers") or {})}
        if self.size and self._etag is not None:
            headers |= {"range": f"bytes={self.size}-", "if-range": self._etag}
        options = {**options, "headers": headers, "timeout": deadline.remaining()}
        with self._stream("GET", url, **options) as reply, _cut_off(reply):
            total = self._total(reply, asked="range" in headers)
            self._check(reply, total or 0, options["max_bytes"])
            self._etag = _strong(reply.headers)
            for piece in reply.bytes():
                self._part.write(piece)
                self.size += len(piece)
                self._check(reply, self.size, options["max_bytes"])
                if self._on_progress is not None:
                    self._on_progress(self.size, total)
            return reply.headers

    def _total(self, reply: StreamReply, *, asked: bool) -> int | None:
        """Resume or restart, as the reply says; return the total number of bytes."""
        if reply.status == _PARTIAL:
            found = _RANGE.fullmatch(reply.headers.get("content-range", "").strip())
            same = self._etag == _strong(reply.headers)
            if not asked or not found or int(found["start"]) != self.size or not same:
                raise self._invalid(reply, "sent a part that was not asked for")
            self.resumed += 1
            return int(found["end"]) + 1
        if self.size:
            self._begin_anew()
        length = reply.headers.get("content-length", "")
        return int(length) if length.isdecimal() and _is_plain(reply.headers) else None

    def _check(self, reply: StreamReply, size: int, limit: int) -> None:
        if size > limit:
            raise self._invalid(reply, f"may have {limit:,} bytes and is larger than that")

    def _invalid(self, reply: StreamReply, why: str) -> InvalidResponse:
        error = InvalidResponse(
            f"GET {self._context.shown(reply.url)} {why}",
            service="api",
            hint="nothing was written; give max_bytes=, or download it again",
        )
        error.status = reply.status
        return error

    def _begin_anew(self) -> None:
        self._context.log.info("API download begins anew: %d bytes are dropped", self.size)
        self.restarted += 1
        self.size = 0
        self._part.seek(0)
        self._part.truncate()


@contextmanager
def _cut_off(reply: StreamReply) -> Iterator[None]:
    """Run a block that reads a reply; the cancellation of an awaiting caller closes it."""
    call = current_call("api")
    if call is None:
        yield
        return
    call.add_stop(reply.close)
    try:
        yield
    finally:
        call.remove_stop(reply.close)


def _strong(headers: Mapping[str, str]) -> str | None:
    """Return the ETag that stands for these very bytes; None where there is none."""
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') and _is_plain(headers) else None


def _is_plain(headers: Mapping[str, str]) -> bool:
    return headers.get("content-encoding", "identity").strip().lower() in {"", "identity"}
