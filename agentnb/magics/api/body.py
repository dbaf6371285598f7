"""The JSON of a cell, with ``:name`` for the notebook's values."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["value_of"]

# Stands for a bound value while the JSON is read: no text of a person's begins like this.
_MARK = "\u2063agentnb:bound"
# A text, with the colon behind it if it is a name; or what is bound. Nothing else has a colon.
_TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*"(?:\s*:)?)|:(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)', re.DOTALL
)


def value_of(source: str, namespace: Mapping[str, Any], where: str = "the cell") -> Any:
    """Return the value that the JSON of a cell describes, or that of a line.

    >>> value_of('{"title": :title, "at": "12:30", "tags": [:tag, 1]}', {"title": "x", "tag": None})
    {'title': 'x', 'at': '12:30', 'tags': [None, 1]}
    >>> value_of(":task", {"task": {"id": 7}})
    {'id': 7}

    Raises
    ------
    UsageError
        It is malformed, or a name is bound to nothing.
    """
    from agentnb.core.bind import lookup

    bound: list[Any] = []

    def marked(found: re.Match[str]) -> str:
        if found["name"] is None:
            return found.group()
        bound.append(lookup(found["name"], namespace))
        return f'{{"{_MARK}": {len(bound) - 1}}}'

    text = _TOKEN.sub(marked, source)
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _made(pairs, bound))
    except json.JSONDecodeError as error:
        line = source.splitlines()[error.lineno - 1 : error.lineno] or [""]
        raise UsageError(
            f"{where} is no JSON: {error.msg}, in line {error.lineno}: {line[0].strip()[:60]}",
            service="api",
            hint='text is in double quotes, a value of the notebook is "title": :title',
        ) from error


def _made(pairs: list[tuple[str, Any]], bound: list[Any]) -> Any:
    if len(pairs) == 1 and pairs[0][0] == _MARK:
        return bound[pairs[0][1]]
    return dict(pairs)
