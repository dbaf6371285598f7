"""Errors on the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentnb.core.errors import AgentnbError

__all__ = ["print_error"]


def print_error(error: AgentnbError) -> None:
    """Print an error and its hint to standard error."""
    print(f"agentnb: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
