"""How the code of a cell uses the result of the magic that it calls."""

from __future__ import annotations

import dis
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["result_is_used"]

_CALLS = {"run_line_magic", "run_cell_magic"}
# One instruction and its argument, each a byte.
_WIDTH = 2
_SKIPPED = {dis.opmap[name] for name in ("CACHE", "NOP") if name in dis.opmap}
_DROPS = dis.opmap["POP_TOP"]
# Displays the value of a cell's last expression; an intrinsic function since Python 3.12.
_DISPLAYS = (
    (dis.opmap["PRINT_EXPR"], 0)
    if "PRINT_EXPR" in dis.opmap
    else (dis.opmap["CALL_INTRINSIC_1"], 1)
)


def result_is_used() -> bool:
    """Return whether the result of the magic that calls this is more than displayed or dropped.

    The next instruction of the cell tells: it stores the value, passes it on, displays it as
    the cell's result, or drops it. If that is not known, as under ``%%time``, the result
    counts as used.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and the only way
    while frame is not None and frame.f_code.co_name not in _CALLS:
        frame = frame.f_back
    caller = frame and frame.f_back
    if caller is None:
        return True
    code = caller.f_code.co_code
    at = caller.f_lasti + _WIDTH
    while at < len(code) and code[at] in _SKIPPED:
        at += _WIDTH
    following = code[at : at + _WIDTH]
    return following[:1] != bytes([_DROPS]) and following != bytes(_DISPLAYS)
