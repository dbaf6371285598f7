"""JSON Schemas of types, and values that are checked against one where the type is not known.

The words that msgspec and pydantic write are known. Others, such as ``format``, are the type's.
"""

from __future__ import annotations

import math
import operator
import re
from typing import TYPE_CHECKING, Any

from agentnb.core.codec.plain import exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["misfit_of", "resolved"]

_DEEPEST = 100


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": _is_whole,
}
_NOUNS = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "number": "a number",
    "integer": "a whole number",
}
_BOUNDS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "minimum": (operator.lt, "at least"),
    "maximum": (operator.gt, "at most"),
    "exclusiveMinimum": (operator.le, "greater than"),
    "exclusiveMaximum": (operator.ge, "less than"),
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose outermost part is no reference to another.

    >>> resolved({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}})
    {'type': 'object'}
    """
    found, definitions = schema, schema.get("$defs", {})
    for _ in range(_DEEPEST):
        if "$ref" not in found:
            break
        found = definitions.get(_last(found["$ref"]), {})
    rest = {name: value for name, value in definitions.items() if value is not found}
    kept = {name: value for name, value in found.items() if name != "$defs"}
    # One that refers to itself keeps its own definition.
    if '"$ref"' in str(kept).replace("'", '"'):
        rest = definitions
    return {**kept, "$defs": rest} if rest else kept


def misfit_of(value: Any, schema: dict[str, Any]) -> str | None:
    """Return why a value does not fit a schema, the first reason; None if it fits.

    >>> schema = {"type": "object", "properties": {"eur": {"type": "integer"}}, "required": ["eur"]}
    >>> misfit_of({"eur": 5}, schema), misfit_of({"eur": "5"}, schema)
    (None, "eur must be a whole number, got '5'")
    >>> misfit_of({}, schema)
    'eur is missing'
    """
    return next(_Check(schema).misfits(value, schema, ""), None)


class _Check:
    """A value is checked against a schema, and those to which that refers."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._definitions = root.get("$defs", {})

    def misfits(self, value: Any, schema: Any, at: str, depth: int = 0) -> Iterator[str]:
        if schema is True or not isinstance(schema, dict) or depth > _DEEPEST:
            if schema is False:
                yield f"{at or 'it'} is not allowed"
            return
        if "$ref" in schema:
            found = self._definitions.get(_last(schema["$ref"]), {})
            yield from self.misfits(value, found, at, depth + 1)
        yield from _value(value, schema, at)
        yield from self._combined(value, schema, at, depth)
        if isinstance(value, dict):
            yield from self._object(value, schema, at, depth)
        elif isinstance(value, list):
            yield from self._list(value, schema, at, depth)

    def _combined(self, value: Any, schema: dict[str, Any], at: str, depth: int) -> Iterator[str]:
        for one in schema.get("allOf", ()):
            yield from self.misfits(value, one, at, depth + 1)
        for word in ("anyOf", "oneOf"):
            choices = schema.get(word)
            if not choices:
                continue
            reasons = [next(self.misfits(value, one, at, depth + 1), None) for one in choices]
            if all(reason is not None for reason in reasons):
                found = [reason for reason in reasons if reason is not None]
                # The reason of the one that comes nearest: it looks deepest.
                yield max(found, key=lambda reason: reason.partition(" ")[0].count("."))

    def _object(
        self, value: dict[str, Any], schema: dict[str, Any], at: str, depth: int
    ) -> Iterator[str]:
        known = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{_within(at, name)} is missing"
        more = schema.get("additionalProperties", True)
        for name, one in value.items():
            if name in known:
                yield from self.misfits(one, known[name], _within(at, name), depth + 1)
            elif more is False:
                yield f"{_within(at, name)} is not known"
            else:
                yield from self.misfits(one, more, _within(at, name), depth + 1)
        yield from _sized(len(value), schema, at, "Properties", "entries")

    def _list(self, value: list[Any], schema: dict[str, Any], at: str, depth: int) -> Iterator[str]:
        first = schema.get("prefixItems", [])
        for number, one in enumerate(value):
            part = first[number] if number < len(first) else schema.get("items", True)
            yield from self.misfits(one, part, f"{at}[{number}]", depth + 1)
        yield from _sized(len(value), schema, at, "Items", "items")
        if schema.get("uniqueItems") and any(one in value[:n] for n, one in enumerate(value)):
            yield f"{at or 'it'} must have no item twice"


def _value(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    """Yield why a value alone does not fit."""
    name = at or "it"
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_TYPES.get(kind, lambda _: True)(value) for kind in kinds):
        yield f"{name} must be {' or '.join(_NOUNS.get(one, one) for one in kinds)}, {_got(value)}"
        return
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices is not None and not any(exact(value, one) for one in choices):
        yield f"{name} must be {' or '.join(repr(one) for one in choices)}, {_got(value)}"
    if _is_number(value):
        yield from _bounded(value, schema, name)
    if isinstance(value, str):
        yield from _sized(len(value), schema, at, "Length", "characters")
        pattern = schema.get("pattern")
        if pattern is not None and not _matches(pattern, value):
            yield f"{name} must match {pattern}, {_got(value)}"


def _bounded(value: float, schema: dict[str, Any], name: str) -> Iterator[str]:
    for word, (wrong, relation) in _BOUNDS.items():
        bound = schema.get(word)
        if bound is not None and _is_number(bound) and wrong(value, bound):
            yield f"{name} must be {relation} {bound:g}, {_got(value)}"
    step = schema.get("multipleOf")
    if _is_number(step) and step and not math.isclose(value / step, round(value / step)):
        yield f"{name} must be a multiple of {step:g}, {_got(value)}"


def _sized(size: int, schema: dict[str, Any], at: str, of: str, noun: str) -> Iterator[str]:
    least, most = schema.get(f"min{of}"), schema.get(f"max{of}")
    if least is not None and size < least:
        yield f"{at or 'it'} must have at least {least} {noun}, got {size}"
    if most is not None and size > most:
        yield f"{at or 'it'} must have at most {most} {noun}, got {size}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # of another dialect: the type says whether it fits
        return True


def _last(reference: Any) -> str:
    return str(reference).rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _within(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _got(value: Any) -> str:
    return f"got {value!r:.60}"
