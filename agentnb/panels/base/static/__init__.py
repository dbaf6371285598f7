"""The scripts and style sheets that the panels send to the page."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

__all__ = ["packed", "read"]

_COMMENT = re.compile(r"/\*.*?\*/")
_STRINGS = re.compile(r"""("(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)""")
_AROUND = re.compile(r" ?([-+*/=<>!&|?:,;{}()\[\]]+) ?")
_TIGHT = re.compile(r" ?([{};,]) ?")


@cache
def read(name: str) -> str:
    """Return the text of a packaged file."""
    return (files(__name__) / name).read_text(encoding="utf-8")


@cache
def packed(name: str) -> str:
    """Return a packaged file without comments and indentation, which count on the wire."""
    lines = (line.strip() for line in read(name).splitlines())
    if name.endswith(".js"):
        code = "\n".join(line for line in lines if line and not line.startswith("//"))
        parts = _STRINGS.split(code)
        parts[::2] = (_AROUND.sub(r"\1", part) for part in parts[::2])
        return "".join(parts)
    return _TIGHT.sub(r"\1", _COMMENT.sub("", " ".join(filter(None, lines))))
