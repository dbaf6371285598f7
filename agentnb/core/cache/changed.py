"""The variables of its surroundings that a function changes itself, such as a list it fills."""

from __future__ import annotations

import dis
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

__all__ = ["changed_by"]

_ASSIGNS = frozenset({"STORE_DEREF", "DELETE_DEREF"})
_LOADS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_STORES_WITHIN = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_ATTR", "DELETE_ATTR"})
_METHODS = frozenset(
    {"append", "appendleft", "extend", "extendleft", "insert", "add", "update", "setdefault"}
    | {"pop", "popleft", "popitem", "remove", "discard", "clear", "sort", "reverse"}
)


def changed_by(code: CodeType) -> frozenset[str]:
    """Return the free variables that code assigns, stores into, or calls to change themselves.

    >>> def make(runs, n): return lambda x: runs.append(x) or x * n
    >>> sorted(changed_by(make([], 2).__code__))
    ['runs']
    """
    found = set(_assigned(code)) | set(_stored_within(code)) | set(_told_to_change(code))
    for constant in code.co_consts:
        if inspect.iscode(constant):  # a function within the function
            found |= changed_by(constant)
    return frozenset(found & set(code.co_freevars))


def _assigned(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname in _ASSIGNS:
            yield step.argval


def _told_to_change(code: CodeType) -> Iterator[str]:
    before = None
    for step in dis.get_instructions(code):
        if before is not None and before.opname in _LOADS and step.argval in _METHODS:
            yield before.argval
        before = step


def _stored_within(code: CodeType) -> Iterator[str]:
    loaded: dict[int | None, set[str]] = {}
    stores: set[int | None] = set()
    for step in dis.get_instructions(code):
        line = None if step.positions is None else step.positions.lineno
        if step.opname in _LOADS:
            loaded.setdefault(line, set()).add(step.argval)
        elif step.opname in _STORES_WITHIN:
            stores.add(line)
    for line in stores:
        yield from loaded.get(line, ())
