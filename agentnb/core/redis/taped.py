"""Commands on a tape: their arguments, and their replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentnb.core.redact import is_secret_name
from agentnb.core.tape.forms import VALUE
from agentnb.core.tape.hook import Operation, active
from agentnb.core.tape.values import digest_of, digested, dump, hidden_bytes, load, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.tape.hook import Tape

__all__ = ["command", "pipeline", "refuse", "tape_of"]

_MANY: Final = 1000
_REASON: Final = "{} of Redis are not recorded"


class _HiddenReplies:
    """The form of replies that hold a secret, as the arguments say."""

    def hold(self, answer: object) -> tuple[Any, int]:
        """Return the plain value, and about its size."""
        return VALUE.hold(answer)

    def dump(self, held: Any, redactor: Callable[[str], str]) -> Any:
        """Return the plain value with its bytes and texts as stars."""
        return hidden_bytes(held, redactor)

    def load(self, data: Any) -> Any:
        """Return the value."""
        return load(data)


_HIDDEN: Final = _HiddenReplies()


def tape_of(tracer: object) -> Tape | None:
    """Return the tape of a client's commands: those of a service are parts of its calls.

    Parameters
    ----------
    tracer
        The tracer of the client; None where a service speaks for its commands.
    """
    return None if tracer is None else active()


def command(args: Sequence[Any]) -> tuple[Operation, Any]:
    """Return the operation of a command, and its arguments as `Operation.prepare` takes them."""
    form = _HIDDEN if any(map(_is_secret, args[1:])) else VALUE
    return Operation("redis", str(args[0]), form, prepare=_prepared), list(args[1:])


def pipeline(commands: Sequence[Sequence[Any]], *, together: bool) -> tuple[Operation, Any]:
    """Return the operation of commands that are sent together, and their arguments."""
    hides = any(_is_secret(one) for args in commands for one in args[1:])
    form = _HIDDEN if hides else VALUE
    name = "MULTI" if together else "PIPELINE"
    given = [list(args) for args in commands]
    return Operation("redis", name, form, prepare=_prepared_all), given


def refuse(what: str) -> None:
    """Note that something was used that no tape answers; refuse it in a replay.

    Raises
    ------
    NotReplayable
        A tape is replayed.
    """
    tape = active()
    if tape is not None:
        reason = _REASON.format(what)
        tape.call(Operation("redis", what, None, reason), {}, lambda: None, str)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _is_secret(value: Any) -> bool:
    return isinstance(value, str | bytes) and len(value) <= _MANY and is_secret_name(_text(value))


def _prepared(args: list[Any], redactor: Callable[[str], str]) -> dict[str, Any]:
    """Return the arguments of a command; one behind the name of a secret is masked."""
    if len(args) > _MANY:
        return {"key": _text(args[0]), "arguments": len(args), "digest": digest_of(repr(args))}
    found: list[Any] = []
    before: Any = None
    for one in args:
        name = _text(before) if isinstance(before, str | bytes) else None
        plain = one.decode() if isinstance(one, bytes) and one.isascii() else digested(one)
        found.append(masked(name, plain, redactor) if name else dump(plain, redactor))
        before = one
    return {"key": found[0], "more": found[1:]} if found[1:] else {"key": found[0] if found else ""}


def _prepared_all(commands: list[list[Any]], redactor: Callable[[str], str]) -> dict[str, Any]:
    if len(commands) > _MANY:
        return {"commands": len(commands), "digest": digest_of(repr(commands))}
    return {
        "commands": [{"name": str(args[0]), **_prepared(args[1:], redactor)} for args in commands]
    }
