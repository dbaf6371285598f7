"""Errors as a tape keeps them: class, message, hint and plain attributes."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from agentnb.core import errors
from agentnb.core.errors import AgentnbError, RejectedError
from agentnb.core.tape.values import Unkept, dump, load

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["dump_error", "load_error"]

_REBUILT = frozenset({"message", "service", "hint", "__notes__", "filename"})


def dump_error(error: BaseException, redactor: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the plain value of an error.

    >>> dump_error(ValueError("no name"))
    {'class': 'ValueError', 'message': 'no name'}
    """
    try:
        message = redactor(str(error))
    except Exception as odd:  # noqa: BLE001 - an error of the user's, whose __str__ may do anything
        message = f"its text raises {type(odd).__name__}"
    found: dict[str, Any] = {"class": type(error).__name__, "message": message}
    if isinstance(error, AgentnbError):
        found["service"] = error.service
        if error.hint:
            found["hint"] = redactor(error.hint)
        rest = {name: value for name, value in vars(error).items() if name not in _REBUILT}
        if rest:
            found["attributes"] = dump(rest, redactor)
    return found


def _own_of_a_service(base: type[AgentnbError], name: str) -> type[AgentnbError] | None:
    """Return a class of agentnb's that derives from another, such as that of a missing script."""
    for kind in base.__subclasses__():
        is_own = kind.__module__.partition(".")[0] == "agentnb"
        found = kind if is_own and kind.__name__ == name else _own_of_a_service(kind, name)
        if found is not None:
            return found
    return None


def load_error(record: dict[str, Any]) -> Exception:
    """Return the error of a plain value; a class that is not known here becomes the nearest base.

    >>> load_error({"class": "ValueError", "message": "no name"})
    ValueError('no name')
    """
    name, message = str(record["class"]), str(record["message"])
    if "service" not in record:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                return kind(message)
            except TypeError:  # it takes more than a message, such as UnicodeDecodeError
                pass
        return RuntimeError(f"{name}: {message}")
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, AgentnbError)):
        kind = _own_of_a_service(AgentnbError, name) or RejectedError
    hint = record.get("hint")
    made = kind(message, service=str(record["service"]), hint=hint if hint is None else str(hint))
    for key, value in record.get("attributes", {}).items():
        try:
            setattr(made, key, load(value))
        except (Unkept, AttributeError):
            continue  # the error is what it is without it
    return made
