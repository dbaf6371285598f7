"""The engine's connection to a program, which is no longer HTTP once it is opened."""

from __future__ import annotations

import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.background import run_in_thread
from agentnb.core.closing import leave
from agentnb.core.docker.interrupting import interruptible
from agentnb.core.docker.logs import Lines
from agentnb.core.errors import DeadlineExceeded, UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.logs import LogLine

__all__ = ["AttachStream", "attached", "executed"]

_CHUNK = 65_536
_WRITE_SECONDS = 86_400.0
_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


class AttachStream:
    """The output of a running program. Close it, or use it as a context manager.

    The SDK gives the bare socket, which is not enough: what the engine sent along with its
    answer's headers is in the answer's buffer, and an answer that outlives its socket cannot be
    closed any more (Python 3.13 says so, whenever the garbage is collected).

    Parameters
    ----------
    api
        The SDK's client.
    path
        Behind the version, such as ``/containers/x/attach``.
    params, data
        Behind the question mark, and what is sent as JSON.
    """

    def __init__(
        self,
        api: Any,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        self._answer = api.request(
            "POST",
            f"{api.base_url}/v{api.api_version}{path}",
            params=params,
            json=data,
            headers=_UPGRADE,
            stream=True,
            timeout=api.timeout,
        )
        api._raise_for_status(self._answer)  # noqa: SLF001 - the one way to the engine's own words
        # Below what knows of HTTP, by which an answer that upgrades has no body.
        self._buffer = self._answer.raw._fp.fp  # noqa: SLF001 - there is no other way to it
        self._socket = self._buffer.raw._sock  # noqa: SLF001 - of TCP, of TLS or of a socket's file

    def lines(self, *, tty: bool, timeout: float | None) -> Generator[LogLine, None, None]:
        """Yield the lines up to the program's end.

        Parameters
        ----------
        tty
            Whether the program has a terminal.
        timeout
            Seconds in all; None for no limit.

        Raises
        ------
        DeadlineExceeded
            It took too long. The engine has no way to end a program: it goes on.
        """
        lines = Lines(tty=tty)
        until = None if timeout is None else monotonic() + timeout
        try:
            while True:
                self._socket.settimeout(None if until is None else _left(until))
                with interruptible(self._answer):
                    data = self._buffer.read1(_CHUNK)
                if not data:
                    break
                yield from lines.feed(data)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"the program did not end within {timeout:g} s, and goes on in the container",
                service="docker",
                hint="timeout= gives it more; stop_container ends all of it",
            ) from error
        yield from lines.end()

    def send(self, data: bytes) -> None:
        """Send the program its whole input, while its output is read.

        Raises
        ------
        UsageError
            The connection is encrypted, and cannot be closed in one direction.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            raise UsageError(
                "an input cannot be sent to an engine over TLS",
                service="docker",
                hint="copy it into the container: put_files(CONTAINER, {'input': DATA})",
            )
        # A socket of its own: the time-outs of reading are not those of writing.
        link = self._socket.dup()
        run_in_thread(_write, link, data, name="stdin")

    def close(self) -> None:
        """Close the answer and its connection; the program goes on."""
        self._answer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)


def attached(engine: Engine, container: str, *, stdin: bool = False) -> AttachStream:
    """Return the wire to a container, which may not have been started yet."""
    params = {"stdin": int(stdin), "stdout": 1, "stderr": 1, "stream": 1}
    where = f"/containers/{container}/attach"
    return engine.call("attach", lambda api: AttachStream(api, where, params=params))


def executed(engine: Engine, program: str) -> AttachStream:
    """Start a program that was made inside of a container, and return the wire to it."""
    data = {"Tty": False, "Detach": False}
    return engine.call("exec", lambda api: AttachStream(api, f"/exec/{program}/start", data=data))


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _write(link: socket.socket, data: bytes) -> None:
    """Write all of an input and its end; a program that reads no more of it is no error."""
    with link:
        link.settimeout(_WRITE_SECONDS)
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has ended, or the wire was closed
