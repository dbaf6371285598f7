"""End a wait for the engine when the caller that awaits it is cancelled."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.callthreads import current_call
from agentnb.core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_cancelled", "interruptible"]


def check_cancelled() -> None:
    """Raise if the caller of this awaited call was cancelled."""
    call = current_call("docker")
    if call is not None and call.cancelled:
        raise UnavailableError("the call was cancelled", service="docker", hint="await it again")


@contextmanager
def interruptible(answer: Any) -> Iterator[None]:
    """Run a block that reads an answer of the engine; a cancelled caller cuts its connection.

    Parameters
    ----------
    answer
        The response of the SDK.
    """
    call = current_call("docker")
    if call is None:
        yield
        return

    def stop() -> None:
        with suppress(OSError, AttributeError):  # it has ended
            answer.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001 - there is no other way to it

    call.add_stop(stop)
    try:
        yield
    finally:
        call.remove_stop(stop)
    check_cancelled()
