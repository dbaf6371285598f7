"""The comparison of a call with the recorded ones, and how both are shown."""

from __future__ import annotations

import re
from typing import Any

from agentnb.core.redact import MASK

__all__ = ["difference", "fits", "label", "paths_of", "without"]

_LONGEST = 60
_MISSING: Any = object()


def fits(recorded: Any, now: Any) -> bool:
    """Return whether plain values are equal; a mask stands for any secret.

    >>> fits({"n": 1, "token": "••••••"}, {"n": 1, "token": "abc"}), fits([1], [2])
    (True, False)
    """
    if isinstance(recorded, str) and MASK in recorded:
        if recorded in {now, MASK} if isinstance(now, str) else recorded == MASK:
            return now is not None
        parts = map(re.escape, recorded.split(MASK))
        return isinstance(now, str) and bool(re.fullmatch(".*".join(parts), now, re.DOTALL))
    if isinstance(recorded, dict):
        return (
            isinstance(now, dict)
            and recorded.keys() == now.keys()
            and all(fits(value, now[key]) for key, value in recorded.items())
        )
    if isinstance(recorded, list):
        return isinstance(now, list) and len(recorded) == len(now) and all(map(fits, recorded, now))
    return type(recorded) is type(now) and bool(recorded == now)


def without(arguments: dict[str, Any], path: str) -> dict[str, Any]:
    """Return arguments without the value at a dotted path.

    >>> without({"params": {"id": 1, "n": 2}}, "params.id")
    {'params': {'n': 2}}
    """
    head, dot, rest = path.partition(".")
    if head not in arguments:
        return arguments
    inner = arguments[head]
    if not dot:
        return {key: value for key, value in arguments.items() if key != head}
    return {**arguments, head: without(inner, rest)} if isinstance(inner, dict) else arguments


def paths_of(arguments: dict[str, Any], before: str = "") -> set[str]:
    """Return the dotted paths of arguments.

    >>> sorted(paths_of({"params": {"id": 1}}))
    ['params', 'params.id']
    """
    found = set()
    for key, value in arguments.items():
        found.add(before + key)
        if isinstance(value, dict):
            found |= paths_of(value, f"{before}{key}.")
    return found


def label(service: str, operation: str, arguments: dict[str, Any]) -> str:
    """Return a call for people.

    >>> label("db", "query", {"sql": "select  1", "params": {}})
    'db.query "select 1"'
    >>> label("api", "GET", {"url": "http://a.example/x"})
    'api GET http://a.example/x'
    """
    if service == "api":
        return f"api {operation} {arguments.get('url', '')}"
    first = next(iter(arguments.values()), "")
    if "sql" in arguments:
        text = " ".join(str(arguments["sql"]).split())
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        return f'{service}.{operation} "{text}"'
    text = first if isinstance(first, str) else ""
    return f"{service}.{operation} {text[:_LONGEST]}".rstrip()


def difference(recorded: Any, now: Any, path: str = "") -> str:
    """Return where plain values differ first, in words; empty where they do not.

    >>> difference({"params": {"n": 1}}, {"params": {"n": 2}})
    'params.n: recorded 1, now 2'
    """
    if fits(recorded, now):
        return ""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*recorded, *now)):
            inner = f"{path}.{key}" if path else str(key)
            found = difference(recorded.get(key, _MISSING), now.get(key, _MISSING), inner)
            if found:
                return found
    return f"{path}: recorded {_shown(recorded)}, now {_shown(now)}"


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
