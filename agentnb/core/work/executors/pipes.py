"""The pipes of one worker process: calls go out by one, answers come back by the other.

A process has one call at a time, so that a message is small and never waits behind another.
"""

from __future__ import annotations

import os
import pickle
import threading
from contextlib import suppress
from multiprocessing import Pipe
from select import POLLIN, poll
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import c_double
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnContext

__all__ = ["Answer", "Ends", "Pipes", "Waker", "pack", "serve", "unpack"]

_HEADER = 8  # bytes: the length of what follows
_CHUNK = 1 << 12


class Answer(NamedTuple):
    """An answer of a process: of a call what it has returned, or its error."""

    value: Any
    error: BaseException | None


class Ends(NamedTuple):
    """The ends of the pipes that a process has; they travel with its start only.

    Attributes
    ----------
    calls, answers
        Both ends.
    begun
        When the attempt of its call began; memory that it shares with its parent.
    """

    calls: Connection[Any, Any]
    answers: Connection[Any, Any]
    begun: c_double

    def begin(self) -> None:
        """Note that the attempt of the call begins now."""
        self.begun.value = monotonic()

    def close(self) -> None:
        """Close them."""
        self.calls.close()
        self.answers.close()


class Pipes:
    """The ends that the parent of a process has.

    They are closed with the last reference to them and by nothing else: so no number of a file is
    another's while a thread writes.

    Parameters
    ----------
    context
        Makes the pipes.

    Attributes
    ----------
    far
        The other ends, until the process has them.
    ended
        Whether no more answers come: the process ends, or has closed its end.
    """

    def __init__(self, context: SpawnContext) -> None:
        calls, self._calls = context.Pipe(duplex=False)
        self._answers, answers = context.Pipe(duplex=False)
        # The clock is that of the machine, for all its processes.
        self._begun = context.RawValue("d", 0.0)
        self.far = Ends(calls, answers, self._begun)
        os.set_blocking(self._answers.fileno(), False)
        self._part = bytearray()
        self.ended = False

    def fileno(self) -> int:
        """Return the number of the end that can be read when there is an answer."""
        return self._answers.fileno()

    def send(self, data: bytes) -> None:
        """Send a call.

        Raises
        ------
        OSError
            The process has died.
        """
        self._begun.value = 0.0
        _write(self._calls.fileno(), data)

    @property
    def begun(self) -> float | None:
        """When the attempt of the last call began, of the monotonic clock; None if it has not.

        It stays when the process is killed.
        """
        return self._begun.value or None

    @property
    def taken(self) -> bool:
        """Whether the last call was read from the pipe, as far as this system tells."""
        try:
            import fcntl
            import termios

            left = fcntl.ioctl(self._calls.fileno(), termios.FIONREAD, bytes(4))
        except (ImportError, OSError):
            return True
        return not any(left)

    def receive(self) -> bytes | None:
        """Return an answer that has come as a whole, or None; never wait."""
        ended = False
        with suppress(BlockingIOError):
            while len(chunk := os.read(self._answers.fileno(), _CHUNK)) == _CHUNK:
                self._part += chunk
            self._part += chunk
            ended = not chunk
        size = int.from_bytes(self._part[:_HEADER])
        if len(self._part) < _HEADER + size:  # and an empty part has a size of 0
            self.ended = ended
            return None
        data = bytes(self._part[_HEADER : _HEADER + size])
        del self._part[: _HEADER + size]
        return data


class Waker:
    """Wakes a thread that waits for files, by one of its own.

    Parameters
    ----------
    thread
        The thread, which does not wake itself; None for any.
    """

    def __init__(self, thread: int | None = None) -> None:
        self._read, self._write = Pipe(duplex=False)
        for end in (self._read, self._write):
            os.set_blocking(end.fileno(), False)
        self._thread = thread
        self._own = self._read.fileno()
        self._files = poll()
        self._files.register(self._own, POLLIN)

    def wait(self, pipes: Pipes | None, seconds: float | None) -> bool:
        """Wait for an answer, for `wake` or for some seconds; return whether one can be read."""
        if pipes is not None and pipes.ended:
            pipes = None
        if pipes is not None:
            self._files.register(pipes, POLLIN)
        ready = self._files.poll(None if seconds is None else seconds * 1000)
        if pipes is not None:
            self._files.unregister(pipes)
        if any(number == self._own for number, _ in ready):
            with suppress(BlockingIOError):
                os.read(self._own, _CHUNK)
        return any(number != self._own for number, _ in ready)

    def wake(self) -> None:
        """Let the thread return from its wait, or from its next one."""
        if threading.get_ident() != self._thread:
            with suppress(BlockingIOError):  # it is full of them
                os.write(self._write.fileno(), b"!")


def pack(function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> bytes:
    """Return a call as bytes."""
    return pickle.dumps((function, args, options))


def serve(ends: Ends) -> None:
    """Run the calls that come, one after another, until the pipe ends.

    An empty message says first that they may come.
    """
    calls, answers = ends.calls.fileno(), ends.answers.fileno()
    for end in (calls, answers):
        os.set_inheritable(end, False)  # noqa: FBT003 - its only form
    _write(answers, b"")
    while (data := _read(calls)) is not None:
        _write(answers, _answer(data))


def unpack(data: bytes) -> Answer:
    """Return the answer that bytes have."""
    try:
        return Answer(*pickle.loads(data))  # noqa: S301 - of our own process
    except BaseException as error:  # noqa: BLE001 - a class of the user's may raise any
        return Answer(None, error)


def _answer(data: bytes) -> bytes:
    try:
        function, args, options = pickle.loads(data)  # noqa: S301 - of our own parent
        return pickle.dumps((function(*args, **options), None))
    except BaseException as error:  # noqa: BLE001 - it is the caller's
        try:
            return pickle.dumps((None, error))
        except Exception:  # noqa: BLE001 - as above
            return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))


def _write(end: int, data: bytes) -> None:
    whole = len(data).to_bytes(_HEADER) + data
    written = os.write(end, whole)
    while written < len(whole):
        written += os.write(end, memoryview(whole)[written:])


def _read(end: int) -> bytes | None:
    part = os.read(end, _CHUNK)
    while part:
        size = _HEADER + int.from_bytes(part[:_HEADER])
        if len(part) >= size and len(part) >= _HEADER:
            return part[_HEADER:]
        part += (chunk := os.read(end, max(size - len(part), _HEADER)))
        if not chunk:
            return None
    return None
