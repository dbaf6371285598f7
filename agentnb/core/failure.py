"""The record of a failed attempt, without secrets."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agentnb.core.errors import AgentnbError
from agentnb.core.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["CANCELLED", "DIED", "Failure", "users_part", "words_of"]

_LONGEST = 2000
_LONGEST_TRACEBACK = 8000
_OURS = str(Path(__file__).parents[1]) + os.sep
# What lies between a worker's thread and the user's code: agentnb, and the loop of coroutines.
_LIBRARY = Path(os.__file__).parent
_BELOW = (_OURS, f"{_LIBRARY / 'asyncio'}{os.sep}", f"{_LIBRARY / 'concurrent'}{os.sep}")

CANCELLED = "cancelled"
DIED = "its worker died"


class Failure(msgspec.Struct, omit_defaults=True):
    """The record of an error: ``ValueError: text``, the traceback, the number of the attempt."""

    error: str
    attempt: int = 0
    traceback: str = ""

    @classmethod
    def of(
        cls, error: BaseException, attempt: int, redactor: Callable[[str], str] = redact
    ) -> Failure:
        """Return the record of an exception, with secrets masked."""
        text = words_of(error)
        hint = error.hint if isinstance(error, AgentnbError) else None
        text = f"{text} ({hint})" if hint else text
        where = _written("".join(traceback.format_tb(users_part(error.__traceback__))[-8:]))
        return cls(redactor(text)[:_LONGEST], attempt, redactor(where)[-_LONGEST_TRACEBACK:])

    @classmethod
    def read(cls, data: bytes) -> Failure:
        """Read a record; a text that is none becomes the error."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError:
            return cls(data.decode("utf-8", "replace")[:_LONGEST] or "unknown")

    def write(self) -> bytes:
        """Return the record as JSON."""
        return msgspec.json.encode(self)


def words_of(error: BaseException) -> str:
    """Return ``ValueError: text`` of an exception of any class.

    >>> words_of(ValueError("no such app")), words_of(ValueError())
    ('ValueError: no such app', 'ValueError')
    """
    name = type(error).__name__
    try:
        text = _written(str(error))
    except Exception as worse:  # noqa: BLE001 - an error that cannot be read is kept, too
        text = f"its text cannot be read ({type(worse).__name__})"
    return f"{name}: {text}" if text else name


def _written(text: str) -> str:
    """Return a text without what cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


def users_part(found: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the user's code on; all of it if there is only agentnb's."""
    at = found
    while at is not None and at.tb_frame.f_code.co_filename.startswith(_BELOW):
        at = at.tb_next
    return found if at is None else at
