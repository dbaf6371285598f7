"""The base of the errors and its five kinds, by what the caller should do next."""

from __future__ import annotations

import sys
from copy import copy
from typing import TYPE_CHECKING

from agentnb.core.hints import rendered

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = [
    "AgentnbError",
    "ConfigError",
    "NotFoundError",
    "RejectedError",
    "UnavailableError",
    "UsageError",
]

_REBUILT = frozenset({"message", "service", "hint", "__notes__"})
_RED, _DIM, _END = "\x1b[31m", "\x1b[2m", "\x1b[0m"


def _masked(text: str) -> str:
    # Its patterns take longer to compile than all else that `%load_ext` does.
    from agentnb.core.redact import redact

    return redact(text)


def _trace_id() -> str | None:
    """Return the id of the running trace; None where nothing has begun one, or loaded them.

    A cell that has called no service yet is no trace that could be shown.
    """
    module = sys.modules.get("agentnb.core.trace.context")  # which imports this one
    variable = getattr(module, "context_var", None)
    context = None if variable is None else variable.get()
    if context is None or context.opener is not None:
        return None
    return str(context.trace_id)


class AgentnbError(Exception):
    """Base of every error that agentnb raises on purpose.

    Parameters
    ----------
    message
        The problem, in one or a few lines. Passwords in URLs and values of
        password-like keys are masked.
    service
        The service it happened to: ``"db"``, ``"settings"``, ...
    hint
        The next step, ready to paste where possible: Python, and behind it in parentheses the
        magic, which is left out where no shell has it; see `agentnb.core.hints`.

    Examples
    --------
    >>> error = UsageError("no such verb: lst", service="db", hint="did you mean list?")
    >>> str(error), error.service, error.hint
    ('no such verb: lst', 'db', 'did you mean list?')
    """

    status: int | None = None
    """The HTTP status, where a service answered with one."""

    trace_id: str | None = None
    """The id of the trace that it was raised in, 32 hexadecimal digits; None outside of one."""

    def __init__(self, message: str, *, service: str, hint: str | None = None) -> None:
        self.message = _masked(message)
        self.service = service
        self.hint = _masked(rendered(hint)) if hint else None
        if (trace := _trace_id()) is not None:
            self.trace_id = trace
        super().__init__(self.message)
        if self.hint:
            self.add_note(f"hint: {self.hint}")

    def advise(self, hint: str) -> None:
        """Append a hint to the present one.

        >>> error = UsageError("no such verb: lst", service="db", hint="did you mean list?")
        >>> error.advise("help(hub.db)")
        >>> error.hint, error.__notes__
        ('did you mean list?; help(hub.db)', ['hint: did you mean list?; help(hub.db)'])
        """
        former = f"hint: {self.hint}"
        more = _masked(rendered(hint))
        self.hint = f"{self.hint}; {more}" if self.hint else more
        others = [note for note in getattr(self, "__notes__", []) if note != former]
        self.__notes__ = [f"hint: {self.hint}", *others]

    def within(self, where: str) -> Self:
        """Return a copy that begins with the part that failed, to be raised from the error.

        >>> UsageError("no such verb", service="db").within("line 2").message
        'line 2: no such verb'
        """
        made = copy(self)
        made.message = f"{where}: {self.message}"
        made.args = (made.message, *self.args[1:])
        return made

    def hide(self, redactor: Callable[[str], str]) -> None:
        """Mask a redactor's secrets in message, hint and notes."""
        self.message = redactor(self.message)
        self.args = (self.message, *self.args[1:])
        if self.hint:
            self.hint = redactor(self.hint)
            self.__notes__ = [redactor(note) for note in self.__notes__]

    def __str__(self) -> str:
        return self.message  # where an error is an OSError too, it would show its file once more

    def __reduce__(self) -> tuple[object, ...]:
        state = {key: vars(self)[key] for key in vars(self) if key not in _REBUILT}
        if isinstance(self, OSError) and self.filename is not None:
            state["filename"] = self.filename
        return (_rebuild, (type(self), self.message, self.service, self.hint), state or None)

    def _render_traceback_(self) -> list[str]:
        """Show message and hint in place of a traceback, as IPython asks an error to."""
        name = type(self).__name__
        first, *rest = self.message.splitlines() or [""]
        lines = [f"{_RED}{name}{_END} ({self.service}): {first}", *rest]
        if self.hint:
            hint, *more = self.hint.splitlines()
            lines += [f"{_DIM}hint:{_END} {hint}", *(f"      {line}" for line in more)]
        if self.trace_id is not None and not isinstance(self, UsageError):
            # A wrong call has called nothing; any other error has spans to look at.
            lines.append(f"{_DIM}trace {self.trace_id[:8]}{_END}")
        return lines


def _rebuild(
    kind: type[AgentnbError], message: str, service: str, hint: str | None
) -> AgentnbError:
    return kind(message, service=service, hint=hint)


class UsageError(AgentnbError):
    """The call is wrong: fix it and call again."""


class ConfigError(AgentnbError):
    """A setting is missing or wrong: fix it where it comes from."""


class NotFoundError(AgentnbError):
    """Something that was named does not exist."""


class RejectedError(AgentnbError):
    """The service was reached and said no."""


class UnavailableError(AgentnbError):
    """The service could not be reached: start it, or try later."""
