"""The one tree of errors, sorted by what the caller should do next.

```
AgentnbError
├── UsageError          fix the call
│   ├── PathEscape      ... it named a path outside the workspace
│   ├── OptionRefused   ... which asked for more than is allowed
│   └── UnkeptResult    ... it reads a result that could not be kept
├── ConfigError         fix the settings
│   └── UntrustedPath   ... which another user owns or can write
├── NotFoundError       name something that exists
├── RejectedError       the service said no; change the request
│   ├── QueryRejected   ... the database, to a statement
│   ├── BuildFailed     ... a step of an image's
│   ├── LoadFailed      ... the source of a cached value, in another process
│   ├── FileChanged     ... the file is not the one that was read
│   ├── InvalidResponse ... an API, with what is not what was asked for
│   └── NonFastForward  ... a git remote or branch, which has commits that are missing here
└── UnavailableError    start the service or try later
    ├── DeadlineExceeded
    ├── RateLimited     ... at the time that the error says
    └── CircuitOpen
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = [
    "AgentnbError",
    "BuildFailed",
    "CircuitOpen",
    "ConfigError",
    "DeadlineExceeded",
    "FileChanged",
    "InvalidResponse",
    "LoadFailed",
    "NonFastForward",
    "NotFoundError",
    "OptionRefused",
    "PathEscape",
    "QueryRejected",
    "RateLimited",
    "RejectedError",
    "UnavailableError",
    "UnkeptResult",
    "UntrustedPath",
    "UsageError",
    "did_you_mean",
]

_REBUILT = frozenset({"message", "service", "hint", "__notes__"})
_RED, _DIM, _END = "\x1b[31m", "\x1b[2m", "\x1b[0m"


def _masked(text: str) -> str:
    # Its patterns take longer to compile than all else that `%load_ext` does.
    from agentnb.core.redact import redact

    return redact(text)


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
        The next step, ready to paste where possible.

    Examples
    --------
    >>> error = UsageError("no such verb: lst", service="db", hint="did you mean list?")
    >>> str(error), error.service, error.hint
    ('no such verb: lst', 'db', 'did you mean list?')
    """

    status: int | None = None
    """The HTTP status, where a service answered with one."""

    def __init__(self, message: str, *, service: str, hint: str | None = None) -> None:
        self.message = _masked(message)
        self.service = service
        self.hint = _masked(hint) if hint else None
        super().__init__(self.message)
        if self.hint:
            self.add_note(f"hint: {self.hint}")

    def advise(self, hint: str) -> None:
        """Append a hint to the present one.

        >>> error = UsageError("no such verb: lst", service="db", hint="did you mean list?")
        >>> error.advise("%db help")
        >>> error.hint, error.__notes__
        ('did you mean list?; %db help', ['hint: did you mean list?; %db help'])
        """
        former = f"hint: {self.hint}"
        self.hint = f"{self.hint}; {_masked(hint)}" if self.hint else _masked(hint)
        others = [note for note in getattr(self, "__notes__", []) if note != former]
        self.__notes__ = [f"hint: {self.hint}", *others]

    def hide(self, redactor: Callable[[str], str]) -> None:
        """Mask a redactor's secrets in message, hint and notes."""
        self.message = redactor(self.message)
        self.args = (self.message, *self.args[1:])
        if self.hint:
            self.hint = redactor(self.hint)
            self.__notes__ = [redactor(note) for note in self.__notes__]

    def __reduce__(self) -> tuple[object, ...]:
        state = {key: vars(self)[key] for key in vars(self) if key not in _REBUILT}
        return (_rebuild, (type(self), self.message, self.service, self.hint), state or None)

    def _render_traceback_(self) -> list[str]:
        """Show message and hint in place of a traceback, as IPython asks an error to."""
        name = type(self).__name__
        first, *rest = self.message.splitlines() or [""]
        lines = [f"{_RED}{name}{_END} ({self.service}): {first}", *rest]
        if self.hint:
            hint, *more = self.hint.splitlines()
            lines += [f"{_DIM}hint:{_END} {hint}", *(f"      {line}" for line in more)]
        return lines


def _rebuild(
    kind: type[AgentnbError], message: str, service: str, hint: str | None
) -> AgentnbError:
    return kind(message, service=service, hint=hint)


class UsageError(AgentnbError):
    """The call is wrong: fix it and call again."""


class UnkeptResult(UsageError):  # noqa: N818 - what happened, as its siblings say it
    """The work is done and is not repeated, but its result could not be kept."""


class PathEscape(UsageError):  # noqa: N818 - what happened, as its siblings say it
    """A path leads out of the workspace: by its text, by a link, or by a race."""


class OptionRefused(UsageError):  # noqa: N818 - what happened, as QueryRejected
    """An option is not allowed here; the message names it."""


class ConfigError(AgentnbError):
    """A setting is missing or wrong: fix it where it comes from."""


class UntrustedPath(ConfigError):  # noqa: N818 - as PathEscape
    """Settings, code or a home that another user owns or can write: they are not used."""


class NotFoundError(AgentnbError):
    """Something that was named does not exist."""


class RejectedError(AgentnbError):
    """The service was reached and said no."""


class QueryRejected(RejectedError):  # noqa: N818 - as PathEscape
    """The database was reached and refused the statement.

    Attributes
    ----------
    sqlstate
        The SQLSTATE of the refusal, such as ``"42501"`` for a right that is missing; None where
        the database gives none.
    """

    sqlstate: str | None = None


class BuildFailed(RejectedError):  # noqa: N818 - as QueryRejected
    """A step of an image's build failed; the message ends with what it printed last."""


class LoadFailed(RejectedError):  # noqa: N818 - as QueryRejected
    """The loader of a cached value failed in another process, which shares its failure."""


class FileChanged(RejectedError):  # noqa: N818 - as PathEscape
    """The file is not the one that was read: read it again before overwriting it."""


class InvalidResponse(RejectedError):  # noqa: N818 - as QueryRejected
    """An API's reply is not what was asked for: no JSON, not the schema's, or too large.

    Attributes
    ----------
    content_type
        The content type that the service states, or None.
    snippet
        How the body begins, with secrets masked.
    """

    content_type: str | None = None
    snippet: str = ""

    def hide(self, redactor: Callable[[str], str]) -> None:
        """Mask secrets; see `AgentnbError.hide`."""
        super().hide(redactor)
        self.snippet = redactor(self.snippet)


class NonFastForward(RejectedError):  # noqa: N818 - as QueryRejected
    """A push or a pull met commits that the other side lacks: bring the two together first."""


class UnavailableError(AgentnbError):
    """The service could not be reached: start it, or try later."""


class DeadlineExceeded(UnavailableError):  # noqa: N818 - a state the caller waits for, not a fault
    """The call took longer than it was given and was cancelled."""


class RateLimited(UnavailableError):  # noqa: N818 - as DeadlineExceeded
    """The service wants no more calls for now.

    Attributes
    ----------
    reset_at
        When it will take calls again, in UTC; None if it does not say.
    """

    reset_at: datetime | None = None


class CircuitOpen(UnavailableError):  # noqa: N818 - as DeadlineExceeded
    """The service failed repeatedly a moment ago; it is not asked again yet."""
