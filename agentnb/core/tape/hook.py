"""The one hook of tapes: a service asks `active` before a call, and hands the call to the tape."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = [
    "Form",
    "Operation",
    "Tape",
    "active",
    "carry_tape",
    "heard",
    "insert",
    "inserted",
    "muted",
    "on_tape",
    "tape_var",
]

T = TypeVar("T")


class Form(Protocol):
    """The form in which a tape keeps the answers of an operation."""

    def hold(self, answer: Any) -> tuple[Any, int]:
        """Return what is kept of an answer in memory, and its size in bytes; -1 if it was cut.

        Called on each call: it copies what the caller may change, and encodes nothing.
        """

    def dump(self, held: Any, redactor: Callable[[str], str]) -> Any:
        """Return the plain value of what was held."""

    def load(self, data: Any) -> Any:
        """Return the answer of a plain value."""


def _as_given(arguments: Any, redactor: Callable[[str], str]) -> Any:  # noqa: ARG001 - a `prepare`
    return arguments


class Operation(NamedTuple):
    """One kind of call.

    Attributes
    ----------
    service, name
        As in its span: ``"db"``, ``"query"``.
    form
        The form of its answers; None for one that cannot be replayed.
    reason
        The reason why it cannot.
    prepare
        Returns the arguments by name of what was handed to the tape, with a redactor; most calls
        are never looked at.
    """

    service: str
    name: str
    form: Form | None
    reason: str = ""
    prepare: Callable[[Any, Callable[[str], str]], dict[str, Any]] = _as_given


class Tape(Protocol):
    """A recorder or a replayer."""

    replays: bool
    """Whether calls are answered from the tape."""

    def call(
        self,
        operation: Operation,
        arguments: Any,
        do: Callable[[], T],
        redactor: Callable[[str], str],
    ) -> T:
        """Make a call and record it, or return its recorded answer without making it.

        Parameters
        ----------
        operation
            The kind of call.
        arguments
            The arguments, as `Operation.prepare` takes them; nobody changes them afterwards.
        do
            Makes the call.
        redactor
            Masks the secrets of the service, in the arguments and the answer.
        """

    async def acall(
        self,
        operation: Operation,
        arguments: Any,
        do: Callable[[], Awaitable[T]],
        redactor: Callable[[str], str],
    ) -> T:
        """Await `call`."""


class _Muted:
    """Stands for no tape, within a call that is recorded as a whole."""


MUTED = _Muted()
tape_var: ContextVar[Tape | _Muted | None] = ContextVar("agentnb_tape", default=None)
"""The tape of the running unit of work."""

# The tape of a block that records or replays everything, in all threads: a call of a thread that
# does not inherit the context must not reach the network while a test replays.
_everywhere: list[Tape] = []


def active() -> Tape | None:
    """Return the tape that the calling code is recorded on or replayed from; None for none."""
    tape = tape_var.get()
    if isinstance(tape, _Muted):
        return None
    # A block within a unit that is recorded, such as a replay in a cell, comes first.
    return _everywhere[-1] if _everywhere else tape


def inserted() -> bool:
    """Return whether a tape is inserted for the whole process."""
    return bool(_everywhere)


class insert:  # noqa: N801 - used as a function, as `use` of traces is
    """Have a block of the whole process recorded on a tape, or replayed from one.

    Parameters
    ----------
    tape
        The tape.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __enter__(self) -> None:
        _everywhere.append(self._tape)

    def __exit__(self, *_: object) -> None:
        _everywhere.remove(self._tape)


class _Set:
    """A block with another tape; hand-written, since each recorded call is one."""

    __slots__ = ("_tape", "_token")

    def __init__(self, tape: Tape | _Muted | None) -> None:
        self._tape = tape

    def __enter__(self) -> None:
        self._token = tape_var.set(self._tape)

    def __exit__(self, *_: object) -> None:
        tape_var.reset(self._token)


def muted() -> _Set:
    """Record nothing of a block: it is a part of a call that is recorded as a whole."""
    return _Set(MUTED)


def heard() -> _Set:
    """Record a block within one that is `muted`: the code in it is the user's."""
    return _Set(None)


def carry_tape() -> Callable[[], _Set]:
    """Return what makes a block in another thread a part of the running tape."""
    tape = tape_var.get()
    return lambda: _Set(tape)


def on_tape(tape: Tape) -> _Set:
    """Record the running context on a tape of its own, as each unit of a worker is."""
    return _Set(tape)
