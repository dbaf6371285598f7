"""A digest of a function, or of arguments: equal only where what they compute is the same."""

from __future__ import annotations

import functools
import hashlib
import inspect
import operator
import re
import types
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.changed import changed_by
from agentnb.core.codec.errors import UnstorableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ORIGINAL", "Memory", "changes", "digest_of", "name_of"]

ORIGINAL = "_agentnb_original"
"""The attribute that holds a cached function and the one that it was made of.

Both, since `functools.wraps` copies attributes to every wrapper of the cached function.
"""

_DIGITS = 16
_MAIN = "__main__"


def name_of(function: Callable[..., Any]) -> str:
    """Return the module and the name of anything that can be called.

    >>> import json
    >>> name_of(functools.partial(json.dumps, indent=1))
    'json.dumps'
    """
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{getattr(named, '__module__', None) or 'builtins'}.{named.__qualname__}"


def changes(function: Callable[..., Any]) -> bool:
    """Return whether the digest of a function may change from call to call.

    >>> changes(name_of), changes(functools.partial(name_of))
    (False, True)
    """
    return not isinstance(function, types.FunctionType) or function.__closure__ is not None


class Memory:
    """The variables that functions change themselves, as they were at first.

    A function that counts its calls in a list would otherwise be another one after each.
    """

    def __init__(self) -> None:
        self.first: dict[int, tuple[types.CellType, str]] = {}
        self.changed: dict[types.CodeType, frozenset[str]] = {}


def digest_of(value: Any, *, whole: bool = False, memory: Memory | None = None) -> str:
    """Return a digest of a function, or of any value.

    A function counts by its code, the variables that it closes over, and what it is bound to;
    a method also by its object. The names of its module that it reads do not count.

    Parameters
    ----------
    value
        A function, anything else that can be called, or a value that the cache can store.
    whole
        Whether the defaults of the function count, too; its own are part of the arguments.
    memory
        Kept from one digest of a function to the next.

    Raises
    ------
    UnstorableError
        A part of it has no exact form.

    Examples
    --------
    >>> def make(n): return lambda x: x * n
    >>> digest_of(make(2)) == digest_of(make(2)), digest_of(make(2)) == digest_of(make(3))
    (True, False)
    """
    digest = _Digest(memory or Memory())
    digest.add(value, whole=whole)
    return digest.text()


class _Digest:
    """A hash of parts, each with its kind and its length before it."""

    def __init__(self, memory: Memory, seen: dict[int, int] | None = None) -> None:
        self._hash = hashlib.sha256()
        self._memory = memory
        self._seen: dict[int, int] = {} if seen is None else seen

    def text(self) -> str:
        return self._hash.hexdigest()[:_DIGITS]

    def _put(self, kind: str, data: bytes | str = b"") -> None:
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        self._hash.update(f"{kind}:{len(raw)}:".encode() + raw)

    def add(self, value: Any, *, whole: bool = True) -> None:
        """Add a value."""
        made, original = getattr(value, "__dict__", {}).get(ORIGINAL, (None, None))
        if made is not None and made is value:
            self.add(original, whole=whole)
        elif isinstance(value, types.FunctionType):
            self._add_function(value, whole=whole)
        elif type(value) in _READERS:
            kind, read = _READERS[type(value)]
            self._put(kind)
            self._add_all(read(value))
        elif isinstance(value, type):
            self._put("class", _path_of(value))
        elif type(value) is list or type(value) is tuple:
            self._put(type(value).__name__, str(len(value)))
            self._add_all(value)
        elif type(value) is dict and all(type(key) is str for key in value):
            self._put("dict", str(len(value)))
            for key, item in value.items():
                self._put("key", key)
                self.add(item)
        else:
            self._add_other(value)

    def _add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def _add_function(self, function: types.FunctionType, *, whole: bool) -> None:
        if id(function) in self._seen:  # it calls itself, or another that calls it
            self._put("again", str(self._seen[id(function)]))
            return
        self._seen[id(function)] = len(self._seen)
        self._add_code(function.__code__)
        if whole:
            self._add_all(function.__defaults__ or ())
            self.add(_sorted(function.__kwdefaults__ or {}))
        changed = self._changed(function.__code__) if function.__closure__ else ()
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            if name == "__class__":  # of a method that says super(); its name has the class
                continue
            try:
                self._add_cell(cell, first=name in changed)
            except UnstorableError as error:
                raise UnstorableError(f"it closes over {name}: {error}") from error

    def _changed(self, code: types.CodeType) -> frozenset[str]:
        if code not in self._memory.changed:
            self._memory.changed[code] = changed_by(code)
        return self._memory.changed[code]

    def _add_cell(self, cell: types.CellType, *, first: bool) -> None:
        try:
            held = cell.cell_contents
        except ValueError:  # empty so far: the function itself, while it is decorated
            self._put("empty")
            return
        if not first:
            self.add(held)
            return
        if id(cell) not in self._memory.first:
            digest = _Digest(self._memory, self._seen)
            digest.add(held)
            self._memory.first[id(cell)] = (cell, digest.text())
        self._put("first", self._memory.first[id(cell)][1])

    def _add_code(self, code: types.CodeType) -> None:
        self._put("code", code.co_code)
        self._put("raises", code.co_exceptiontable)
        words = (
            *code.co_names,
            "",
            *code.co_varnames,
            "",
            *code.co_freevars,
            "",
            *code.co_cellvars,
        )
        self._put("names", "\0".join(words))
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self._put("counts", repr(counts))
        for constant in code.co_consts:
            if inspect.iscode(constant):
                self._add_code(constant)
            elif isinstance(constant, frozenset):  # its order differs from process to process
                self._put("constants", repr(sorted(map(repr, constant))))
            elif type(constant) is int:
                self._put("int", hex(constant))
            else:
                self._put("constant", repr(constant))

    def _add_other(self, value: Any) -> None:
        if _of_functools(value):
            self._put("wrapped")
            self.add(value.__wrapped__)
            return
        from agentnb.core.codec.tagged import dump

        self._put("value", dump(value))
        call = getattr(type(value), "__call__", None)  # noqa: B004 - its code is what is wanted
        if isinstance(call, types.FunctionType):
            self.add(call)


def _of_functools(value: Any) -> bool:
    # What functools.cache makes has no state that changes what it returns.
    return type(value).__module__ == "functools" and hasattr(value, "__wrapped__")


def _path_of(kind: type) -> str:
    from agentnb.core.codec.classes import path_of

    if kind.__module__ == _MAIN:
        raise UnstorableError(f"the class {kind.__name__} of the notebook may change")
    return path_of(kind)


def _sorted(named: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(named.items()))


def _of_builtin(function: Any) -> list[Any]:
    owner = function.__self__
    name: list[Any] = [function.__qualname__]
    if owner is None or isinstance(owner, types.ModuleType):
        return [function.__module__ or "", *name]
    return [*name, owner]


_READERS: dict[type, tuple[str, Callable[[Any], list[Any]]]] = {
    functools.partial: (
        "partial",
        lambda it: [it.func, it.args, dict(sorted(it.keywords.items()))],
    ),
    types.MethodType: ("method", lambda it: [it.__self__, it.__func__]),
    types.BuiltinFunctionType: ("builtin", _of_builtin),
    types.MethodDescriptorType: ("slot", lambda it: [it.__objclass__, it.__name__]),
    types.WrapperDescriptorType: ("slot", lambda it: [it.__objclass__, it.__name__]),
    types.ModuleType: ("module", lambda it: [it.__name__]),
    re.Pattern: ("pattern", lambda it: [it.pattern, it.flags]),
    operator.itemgetter: ("operator", lambda it: list(it.__reduce__())),
    operator.attrgetter: ("operator", lambda it: list(it.__reduce__())),
    operator.methodcaller: ("operator", lambda it: list(it.__reduce__())),
}
