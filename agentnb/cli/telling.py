"""How the command line tells of errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentnb.core.errors import AgentnbError

__all__ = ["complain"]


def complain(error: AgentnbError) -> None:
    """Print an error and its hint."""
    print(f"agentnb: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
