"""The scripts and style sheets that the panels send to the page."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["read"]


@cache
def read(name: str) -> str:
    """Return the text of a packaged file."""
    return (files(__name__) / name).read_text(encoding="utf-8")
