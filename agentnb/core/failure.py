"""Why an attempt failed, in words that may be shown."""

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

__all__ = ["CANCELLED", "DIED", "Failure"]

_LONGEST = 2000
_LONGEST_TRACEBACK = 8000
_OURS = str(Path(__file__).parents[1]) + os.sep
# The files that call what a user wrote.
_CALLS_THEM = {str(Path(__file__).parent / one / "attempt.py") for one in ("queue", "workflow")}

CANCELLED = "cancelled"
DIED = "its worker died"


class Failure(msgspec.Struct, omit_defaults=True):
    """What is kept of an error: ``ValueError: text``, the traceback, which attempt it was."""

    error: str
    attempt: int = 0
    traceback: str = ""

    @classmethod
    def of(
        cls, error: BaseException, attempt: int, redactor: Callable[[str], str] = redact
    ) -> Failure:
        """Return what to keep of an exception, without secrets."""
        text = str(error)
        hint = error.hint if isinstance(error, AgentnbError) else None
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        text = f"{text} ({hint})" if hint else text
        where = "".join(traceback.format_tb(_theirs(error.__traceback__))[-8:])
        return cls(redactor(text)[:_LONGEST], attempt, redactor(where)[-_LONGEST_TRACEBACK:])

    @classmethod
    def read(cls, data: bytes) -> Failure:
        """Return what was kept."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError:
            return cls(data.decode("utf-8", "replace")[:_LONGEST] or "unknown")

    def write(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)


def _theirs(found: TracebackType | None) -> TracebackType | None:
    """Return a traceback from what a user wrote on; all of it if there is nothing but ours."""
    begin, at = found, found
    while at is not None:
        if at.tb_frame.f_code.co_filename in _CALLS_THEM and at.tb_next is not None:
            begin = at.tb_next
        at = at.tb_next
    at = begin
    # What a notebook puts around a processor is ours, too.
    while at is not None and at.tb_frame.f_code.co_filename.startswith(_OURS):
        at = at.tb_next
    return begin if at is None else at
